"""What is wrong with a page of ours, as a browser draws it on every kind of screen and on paper."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from tests.browser.chromium import Chromium

LOOK = Path(__file__).with_name("look.js").read_text()
OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"
SCREENSHOTS = os.environ.get("SCREENSHOTS")  # a folder: every view is left there as a PNG


class View(NamedTuple):
    """`width` in CSS pixels."""

    name: str
    width: int
    dark: bool = False
    media: str = "screen"


VIEWS = (
    View("wide-light", 1280),
    View("wide-dark", 1280, dark=True),
    View("phone-light", 390),
    View("phone-dark", 390, dark=True),
    View("paper", 688, media="print"),  # A4 without its margins
    View("paper-dark", 688, dark=True, media="print"),  # printed from a dark screen: paper stays white
)


def wrong(browser: Chromium, page: Path) -> list[str]:
    """Sentences; none: nothing is wrong. What is said of several views is said of the first."""
    browser.open(page)
    browser.evaluate(OPEN_ALL)
    found: dict[str, str] = {}
    for view in VIEWS:
        browser.show(view.width, dark=view.dark, media=view.media)
        for sentence in browser.evaluate(LOOK):
            found.setdefault(re.sub(r"[0-9.]+ px", "px", sentence), f"{view.name}: {sentence}")
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            browser.screenshot(Path(SCREENSHOTS) / f"{page.parent.name}-{page.stem}-{view.name}.png")
    asked = browser.requests[1:] if browser.requests[:1] == [page.resolve().as_uri()] else browser.requests
    found |= {url: f"the page asked for {url}" for url in asked}
    found |= {error: f"the console says: {error}" for error in browser.errors}
    images = browser.images()
    if unnamed := images.count(""):
        found["name"] = f"{unnamed} of {len(images)} drawings have no accessible name"
    if len(set(images)) < len(images):
        found["twice"] = f"drawings with the same accessible name: {sorted(images)}"
    return list(found.values())
