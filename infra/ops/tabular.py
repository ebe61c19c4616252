"""SHELL: rows to the terminal: a table for people, JSON and CSV for programs. Numbers are printed exactly."""

import csv
import json
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TextIO, TypeAlias

Cell: TypeAlias = str | int | Decimal | None
Row: TypeAlias = Mapping[str, Cell]

FORMATS = ("table", "json", "csv")
LINE_MAX = 120  # columns of a listing; on a terminal that has fewer, that many
FREE_TEXT_MIN = 24


def emit(rows: Sequence[Row], columns: Sequence[str], form: str, out: TextIO | None = None) -> None:
    """Prints `rows` with `columns` in the format `table`, `json` (a list of objects) or `csv`."""
    stream = sys.stdout if out is None else out
    if form == "json":
        _json(rows, columns, stream)
    elif form == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([text(row.get(column)) for column in columns] for row in rows)
    elif stream.isatty():
        _rich(rows, columns, stream)
    else:
        _plain(rows, columns, stream)


def emit_listing(rows: Sequence[Row], columns: Sequence[str], below: str, out: TextIO | None = None) -> None:
    """Prints a table whose rows would be too wide for a terminal: the column `below` is a line of its own under each
    row, whole, so that it can be copied, and the last of the other columns is free text and wrapped at 120 columns."""
    stream = sys.stdout if out is None else out
    *fixed, free = (column for column in columns if column != below)
    widths = [
        max(len(column), *(len(text(row.get(column))) for row in rows)) if rows else len(column) for column in fixed
    ]
    numeric = [_is_numeric(rows, column) for column in fixed]
    wide = min(LINE_MAX, shutil.get_terminal_size((LINE_MAX, 0)).columns if stream.isatty() else LINE_MAX)
    room = max(FREE_TEXT_MIN, wide - sum(widths) - 2 * len(widths))
    for row in [dict(zip(columns, columns, strict=True)), *rows]:
        cells = [
            text(row.get(column)).rjust(width) if right else text(row.get(column)).ljust(width)
            for column, width, right in zip(fixed, widths, numeric, strict=True)
        ]
        first, *more = textwrap.wrap(text(row.get(free)), room) or [""]
        lines = ["  ".join([*cells, first]).rstrip()]
        lines += [" " * (sum(widths) + 2 * len(widths)) + line for line in more]
        stream.write("\n".join([*lines, f"  {text(row.get(below))}"]) + "\n")


def text(value: Cell) -> str:
    """A cell as text: never an exponent, never a rounded digit."""
    if value is None:
        return ""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def json_text(value: Cell) -> str:
    """A cell as JSON. A Decimal is a JSON number with all its digits, which `json` itself cannot write."""
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def _json(rows: Sequence[Row], columns: Sequence[str], stream: TextIO) -> None:
    objects = []
    for row in rows:
        pairs = (f"{json.dumps(column)}: {json_text(row[column])}" for column in columns if column in row)
        objects.append("{" + ", ".join(pairs) + "}")
    stream.write("[" + ",\n ".join(objects) + "]\n")


def _plain(rows: Sequence[Row], columns: Sequence[str], stream: TextIO) -> None:
    lines = [list(columns), *([text(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    numeric = [_is_numeric(rows, column) for column in columns]
    for line in lines:
        cells = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        stream.write("  ".join(cells).rstrip() + "\n")


def _rich(rows: Sequence[Row], columns: Sequence[str], stream: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for column in columns:
        table.add_column(column, justify="right" if _is_numeric(rows, column) else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(text(row.get(column))) for column in columns))
    Console(file=stream).print(table)


def _is_numeric(rows: Sequence[Row], column: str) -> bool:
    return any(isinstance(row.get(column), int | Decimal) for row in rows)
