"""The look at the pages itself: each kind of defect is found, and a page without one is not blamed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loadgen.showing.page import page
from tests.browser.chromium import Chromium
from tests.browser.looking import wrong
from tests.loadgen.showing.test_limits_shown import made, observed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def good() -> str:
    return page(made(observed(), throttled=3))


def style(rules: str) -> Callable[[str], str]:
    return lambda text: text.replace("</style>", f"{rules}</style>", 1)


def behind(addition: str) -> Callable[[str], str]:
    return lambda text: text + addition


def in_chart(addition: str) -> Callable[[str], str]:
    return lambda text: text.replace("</svg></figure>", f"{addition}</svg></figure>", 1)


DEFECTS: dict[str, tuple[Callable[[str], str], str]] = {
    "an image from elsewhere": (behind("<img src=http://example.invalid/a.png alt=a>"), "asked for http://example.inv"),
    "a style from elsewhere": (style("body{background:url(//example.invalid/b)}"), "asked for file://example.invalid"),
    "a style for dark screens from elsewhere": (
        style("@media(prefers-color-scheme:dark){body{background:url(http://example.invalid/d)}}"),
        "asked for http://example.invalid/d",
    ),
    "a script that asks": (behind("<script>fetch('http://example.invalid/c')</script>"), "http://example.invalid/c"),
    "a file beside it": (behind("<link rel=stylesheet href=other.css>"), "asked for file:///"),
    "an error": (behind("<script>throw new Error('boom')</script>"), "the console says: Error: boom"),
    "a console error": (behind("<script>console.error('bang')</script>"), "the console says: bang"),
    "too wide for a phone": (behind("<p style=width:500px>w</p>"), "phone-light: the page is"),
    "too wide for a screen": (behind("<p style=width:1300px>w</p>"), "wide-light: the page is"),
    "out of sight": (behind("<p style='position:absolute;left:-400px;width:50px'>w</p>"), "leaves the screen"),
    "cut off": (behind("<p style='width:40px;overflow:hidden;white-space:nowrap'>abcdefghijkl</p>"), "is cut off"),
    "faint text": (style(".dim{color:#a0a0a0!important}"), "wide-light: contrast of"),
    "text that is faint in the dark": (
        style("@media screen and (prefers-color-scheme:dark){td{color:#555}}"), "wide-dark: contrast of td",
    ),
    "text that is transparent": (style("td{opacity:.4}"), "contrast of td"),
    "text on a coloured ground": (style("td{background:#888}"), "contrast of td"),
    "faint text of a chart": (style("svg text{fill:#bbb}"), "contrast of text of 'Events per second'"),
    "a faint line": (style("path.b{stroke:#ddd}"), "a line of svg of 'Events per second' has a contrast of"),
    "white paper printed dark": (
        style("@media print and (prefers-color-scheme:dark){td{color:#eee}}"), "paper-dark: contrast of td",
    ),
    "tiny text": (style("svg text{font-size:7px!important}"), "px high"),
    "texts on top of each other": (in_chart("<text x=50 y=22 text-anchor=end>999</text>"), "texts overlap in svg"),
    "text beyond its drawing": (in_chart("<text x=490 y=90>far out</text>"), "text leaves its drawing in svg"),
    "text below its drawing": (in_chart("<text x=200 y=199>low</text>"), "text leaves its drawing in svg"),
    "a chart without a name": (lambda text: text.replace("aria-label=", "data-label=", 1), "have no accessible name"),
    "two charts with one name": (
        lambda text: text.replace("aria-label='Throttled, per second'", "aria-label='Events per second'"),
        "drawings with the same accessible name",
    ),
    "no value": (behind("<p>None</p>"), "None instead of a value"),
    "not a number": (behind("<p>latency NaN ms</p>"), "NaN instead of a value"),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_found(defect: str, good: str, browser: Chromium, tmp_path: Path) -> None:
    spoil, said = DEFECTS[defect]
    bad = spoil(good)
    assert bad != good
    (tmp_path / "bad.html").write_text(bad)
    found = wrong(browser, tmp_path / "bad.html")
    assert any(said in sentence for sentence in found), found


def test_a_page_without_a_defect_is_not_blamed(good: str, browser: Chromium, tmp_path: Path) -> None:
    (tmp_path / "good.html").write_text(good)
    assert wrong(browser, tmp_path / "good.html") == []
