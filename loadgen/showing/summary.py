"""PURE: a report as the lines that a terminal shows when a load has ended."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from loadgen.outcome.account import ledger_rows
from loadgen.showing.report import limit_sentences, notes, number

ALWAYS = ("acknowledged_events_per_s", "processed_events_per_s", "latency_p50_ms", "latency_p99_ms")
IF_OBSERVED = (
    "commit_latency_p50_ms",
    "commit_latency_p99_ms",
    "iterator_age_max_ms",
    "drain_events_per_s",
    "cost_usd_per_million_events",
)
AT_LAST = ("late_share", "throttled_attempts", "events_failed", "drain_s")


def wrapped(sentence: str, width: int | None) -> str:
    """Broken between words; None: one line."""
    if width is None:
        return sentence
    return textwrap.fill(sentence, width, break_long_words=False, break_on_hyphens=False)


def lines(document: Mapping[str, Any], width: int | None = None) -> Iterator[str]:
    """The account, the most important numbers, the thresholds, and the sentences; the verdict is the last one.

    `width`: the terminal's, in characters; None: it is none, and sentences are one line each."""
    yield ""
    for row in ledger_rows(document):
        yield f"  {'  ' * row.depth + row.label:<56} {row.shown:>14}"
    yield ""
    numbers = document["numbers"]
    observed = tuple(name for name in IF_OBSERVED if numbers.get(name) is not None)
    for name in (*ALWAYS, *observed, *AT_LAST):
        yield f"  {name:<56} {number(numbers[name]):>14}"
    for threshold in document["thresholds"]:
        yield f"  threshold {threshold['expression']:<46} {'passed' if threshold['passed'] else 'FAILED':>14}"
    for sentence in (*limit_sentences(document), *notes(document), document["verdict"]):
        yield f"\n{wrapped(sentence, width)}"
