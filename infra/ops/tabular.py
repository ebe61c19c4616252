"""SHELL: rows to the terminal: a table for people, JSON and CSV for programs. Numbers are printed exactly."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TextIO, TypeAlias

Cell: TypeAlias = str | int | Decimal | None
Row: TypeAlias = Mapping[str, Cell]

FORMATS = ("table", "json", "csv")


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
