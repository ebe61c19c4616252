"""SHELL: what a sweep tells: its files, and the lines on the terminal."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from loadgen.sweep.measured import COLUMNS, Measured, row
from loadgen.sweep.page import figures, page

LINES, DOCUMENT, PAGE = "sweep.jsonl", "sweep.json", "sweep.html"


def write(out: Path, sweep: Mapping[str, Any]) -> None:
    """sweep.json, sweep.html and the curves as SVG files, each whole or not at all. Raises OSError."""
    files = {DOCUMENT: json.dumps(sweep, indent=1) + "\n", PAGE: page(sweep), **figures(sweep)}
    for name, text in files.items():
        part = out / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(out / name)


def show(measured: Sequence[Measured]) -> None:
    """The table on stdout: drawn on a terminal, plain lines separated by tabs elsewhere."""
    console = Console()
    rows = [row(one) for one in measured]
    if not console.is_terminal:
        tell("\n".join("\t".join(cells) for cells in (COLUMNS, *rows)))
        return
    table = Table(*COLUMNS)
    for cells in rows:
        table.add_row(*cells)
    console.print(table)


def say(text: str) -> None:
    """How it goes, on stderr."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def tell(text: str) -> None:
    """What came of it, on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
