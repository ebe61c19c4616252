"""PURE: from the moment an event was due to the moment its batch was committed.

The function's log names, batch by batch, an evenly spaced few of the Kinesis records that it committed, and when. The
sender's lines say when every event of those records was due. Every batch counts with all of its records: one named
record stands for as many as there are between two named ones.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from loadgen.outcome.histogram import Histogram
from loadgen.outcome.metrics import SECOND_BITS, milliseconds
from loadgen.outcome.results import decode
from loadgen.target.function_log import Batch
from loadgen.target.series import LOG, SENDER, Series

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
SECOND_QUANTILES = ("p50", "p99")
SEQUENCE_NUMBER = re.compile(r'"sequence_number":"(\d+)"')
NAMES = ("commit_latency_mean_ms", *(f"commit_latency_{name}_ms" for name in QUANTILES), "commit_latency_max_ms")


class Commit(NamedTuple):
    """A Kinesis record's first commit, in Unix ms, and how many records of its batch it stands for."""

    at_ms: int
    weight: int


def commits(batches: Iterable[Batch]) -> dict[str, Commit]:
    """By sequence number. A record that is delivered again was committed when it was committed first."""
    found: dict[str, Commit] = {}
    for batch in batches:
        weight = max(1, round((batch.records - batch.failed) / max(1, len(batch.committed))))
        for number in batch.committed:
            if number not in found or batch.at_ms < found[number].at_ms:
                found[number] = Commit(batch.at_ms, weight)
    return found


@dataclass(frozen=True, slots=True)
class CommitLatency:
    """From when events were due to the commit of their batches: of the whole load, and by the second of the commit."""

    whole: Histogram = field(default_factory=Histogram)
    seconds: dict[int, Histogram] = field(default_factory=dict)

    def series(self) -> list[Series]:
        """Percentiles of every second in which something was committed, ms; within 1.6 %."""
        by_second = sorted(self.seconds.items())
        return [
            Series(
                f"commit_latency_{name}_ms",
                "ms from due to committed",
                name,
                f"{LOG} and {SENDER}",
                1,
                tuple((second, (one.quantile_us(QUANTILES[name]) or 0) / 1000) for second, one in by_second),
            )
            for name in SECOND_QUANTILES
            if by_second
        ]


def latencies(lines: Iterable[str], known: Mapping[str, Commit], started_s: float) -> CommitLatency:
    """Of the events in records with a known commit. `lines` of results.jsonl; `started_s`: Unix time of its 0."""
    found = CommitLatency()
    if not known:
        return found
    for line in lines:
        number = SEQUENCE_NUMBER.search(line)
        commit = known.get(number[1]) if number and line.endswith("\n") else None
        if commit is None:
            continue
        committed_us = int(commit.at_ms * 1000 - started_s * 1e6)
        second = found.seconds.setdefault(max(0, committed_us // 1_000_000), Histogram(SECOND_BITS))
        for due_us in decode(line).due_us:
            found.whole.add(committed_us - due_us, commit.weight)
            second.add(committed_us - due_us, commit.weight)
    return found


def named(histogram: Histogram) -> dict[str, float | int | None]:
    """Under the names of report.json; None without any commit."""
    numbers: dict[str, float | int | None] = {"commit_latency_mean_ms": milliseconds(histogram.mean_us)}
    for name, share in QUANTILES.items():
        numbers[f"commit_latency_{name}_ms"] = milliseconds(histogram.quantile_us(share))
    numbers["commit_latency_max_ms"] = milliseconds(histogram.highest if histogram.count else None)
    return numbers
