"""SHELL: a load's files in its folder, and its summary on stdout."""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.ops.errors import USAGE, CommandError
from loadgen.showing.page import page
from loadgen.showing.summary import lines

RESULTS = "results.jsonl"
REPORTS = ("report.json", "report.html")


def prepare(out: Path) -> None:
    """An empty results.jsonl, and no report of an earlier load. Raises CommandError (usage)."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in REPORTS:
            (out / name).unlink(missing_ok=True)  # an earlier load's report does not belong to these results
        (out / RESULTS).write_text("")
    except OSError as error:
        raise CommandError(f"--out {out}: no reports can be written there: {error.strerror}", USAGE) from error


def write(out: Path, document: Mapping[str, Any]) -> None:
    """report.json and report.html, each whole or not at all. Raises OSError."""
    for name, text in zip(REPORTS, (json.dumps(document, indent=1) + "\n", page(document)), strict=True):
        whole(out / name, text)


def whole(path: Path, text: str) -> None:
    """The file has this text, or what it had before; half of a surrogate pair is written as its number. Raises
    OSError."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def try_to_write(out: Path, document: Mapping[str, Any]) -> str | None:
    """None: the reports are there; else why not."""
    try:
        write(out, document)
    except OSError as error:
        return f"{out}: the reports cannot be written: {error.strerror}; what was measured is above"
    return None


def summarize(document: Mapping[str, Any], last_line: str = "") -> None:
    """The account, the most important numbers and the verdict on stdout."""
    say("\n".join((*lines(document, width()), last_line)))


def width() -> int | None:
    """Characters of a line of the terminal that reads stdout; None: no terminal does."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def say(text: str) -> None:
    """On stdout, in the characters that it has. A reader that has enough (`| head`) may go."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(f"{text.encode(encoding, 'backslashreplace').decode(encoding)}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would complain again at exit
