"""SHELL: `loadgen report`: the summary and the page again, from the files that a load has left; or two of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from infra.ops.errors import USAGE, CommandError
from loadgen.outcome.metrics import Metrics
from loadgen.outcome.results import ResultsError, decode_all
from loadgen.sending.recording_file import regular
from loadgen.showing import comparison, contradictions, report_shape
from loadgen.showing.comparison_page import comparison_page
from loadgen.written import RESULTS, say, summarize, whole, width, write

REPORT = "report.json"


def make(folder: Path) -> int:
    """The numbers are added up again from results.jsonl; returns the exit status. Raises CommandError (usage) for files
    that are no finished load's."""
    document = _added_up(folder)
    write(folder, document)
    summarize(document)
    return 0 if document["passed"] else 1


def _added_up(folder: Path) -> dict[str, Any]:
    document = _document(folder)
    metrics = Metrics(document["configuration"]["late_after_us"], document["numbers"].get("schedule_s") or 0.0)
    lasted_s = None if document["partial"] else document["numbers"].get("elapsed_s")
    with _open(folder, RESULTS) as lines:
        try:
            for number, result in enumerate(decode_all(_texts(lines)), 1):
                if wrong := contradictions.in_line(result, lasted_s):
                    raise ResultsError(f"line {number}: {wrong}")
                metrics.add(result)
        except ResultsError as error:
            raise CommandError(f"{folder}/{RESULTS}: {error}", USAGE) from error
    had = tuple(document["numbers"].get(name) for name in ("events_acknowledged", "events_failed"))
    if had == (metrics.acknowledged, metrics.failed):
        document["numbers"].update(metrics.named())
        document["timeline"] = metrics.timeline()
    elif not document["partial"]:  # a load that ended too early may have figures beyond its lines
        counts = f"has {had[0]} acknowledged and {had[1]} failed events, {RESULTS} {metrics.acknowledged:,} and "
        why = f"{counts}{metrics.failed:,}: they are not of one load, or lines are missing"
        raise CommandError(f"{folder}/{REPORT} {why}", USAGE)
    return document


def compare(first: Path, second: Path, html: Path | None) -> int:
    """Two loads beside each other on stdout, and as a page. Raises CommandError (usage) alike; OSError: no page."""
    a, b = _added_up(first), _added_up(second)
    names = (str(first), str(second))
    say("\n".join(comparison.lines(names, a, b, width())))
    if html is not None:
        whole(html, comparison_page(names, a, b))
        say(f"\nPage: {html}")
    return 0


def _document(folder: Path) -> dict[str, Any]:
    with _open(folder, REPORT) as file:
        try:
            document: dict[str, Any] = json.loads(file.read())
            report_shape.check(document)
            if wrong := contradictions.first(document):
                raise report_shape.ShapeError(f"it contradicts itself: {wrong}")
        except report_shape.ShapeError as error:
            raise CommandError(f"{folder}/{REPORT}: {error}", USAGE) from error
        except (ValueError, RecursionError) as error:  # an encoding, digits or a depth that json does not take, too
            raise CommandError(f"{folder}/{REPORT} is not JSON: {error}", USAGE) from error
    return document


def _open(folder: Path, name: str) -> IO[bytes]:
    try:
        if not regular(folder / name):
            raise CommandError(f"{folder}/{name} is no regular file: a load's own --out is needed", USAGE)
        return (folder / name).open("rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CommandError(f"{folder}: there is no finished run in it ({folder / name} is missing)", USAGE) from error
    except (OSError, ValueError) as error:
        raise CommandError(f"{str(folder / name)!a}: it cannot be read: {error}", USAGE) from error


def _texts(lines: IO[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):  # an interrupted write
            return
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise ResultsError(f"line {number}: it is not UTF-8") from error
