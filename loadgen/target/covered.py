"""PURE: how much of a load the target's own sources tell of, and what of its end only they know.

A log or metrics that lack a part of the load (an endpoint that died took them along) are not 0 where they are silent:
their numbers are not known. What they tell of is held against what the tables have and what the stream acknowledged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from loadgen.outcome.histogram import Histogram
from loadgen.outcome.ledger import Ledger
from loadgen.outcome.metrics import THROTTLED, Metrics
from loadgen.target.function_log import Batch
from loadgen.target.observation import Observation
from loadgen.target.series import CLOUDWATCH, LOG, Series
from loadgen.target.shared import is_shared, others_put, sentence, without_it


class Drained(NamedTuple):
    """`took_s`: from the end of sending (of a backlog: from the enabling of the mapping) to the last commit. `events`:
    distinct events that were committed meanwhile; None: not known."""

    took_s: float
    events: int | None


def new_in_tables(ledger: Ledger) -> int:
    """Distinct events that came into the tables by this load."""
    return ledger.stored - ledger.stored_before + ledger.quarantined + ledger.unknown_stored


def weigh(observed: Observation, ledger: Ledger, metrics: Metrics) -> Observation:
    """The same with a sentence for every source that lacks a part of the load or has more than it, and its series
    marked so."""
    if not observed.series:
        return observed
    by_name = {one.name: one for one in observed.series}
    missing, series, latency = list(observed.missing), list(observed.series), observed.commit_latency
    told, known = sum(batch.events for batch in observed.batches), new_in_tables(ledger)
    if told < known and not any(sentence.startswith(LOG) for sentence in missing):
        missing.append(_lacks(LOG, told, known, "events that are in the tables"))
        series, latency = _marked(series, LOG), Histogram()
    put = by_name.get("records_put")
    if is_shared(missing):
        pass
    elif others_put(series, metrics.records + _uncertain(metrics)):
        missing.append(sentence(series))
        series = without_it(series)
    elif put is not None and put.total < metrics.records:
        missing.append(_lacks(CLOUDWATCH, int(put.total), metrics.records, "acknowledged Kinesis records"))
        series = _marked(series, CLOUDWATCH)
    return replace(observed, series=series, commit_latency=latency, missing=missing)


def _uncertain(metrics: Metrics) -> int:
    """Attempts that failed and may have put their Kinesis record all the same: their answers were lost."""
    return sum(count for code, count in metrics.errors.items() if code != THROTTLED)


def _lacks(source: str, told: int, known: int, what: str) -> str:
    share = int(1000 * told / known) / 10  # rounded down: never 100 %
    return f"{source} covers only {share:g} % of this load ({told:,} of {known:,} {what}): its numbers are left out"


def _marked(series: Iterable[Series], source: str) -> list[Series]:
    return [replace(one, is_partial=one.is_partial or one.source.startswith(source)) for one in series]


def drained(batches: Sequence[Batch], ledger: Ledger, began_at_s: float, by_reading: Drained) -> Drained:
    """How the rest was processed after `began_at_s` (Unix time): by the function's log, when it tells
    of exactly the events that came into the tables; else `by_reading` of the tables, which takes seconds itself."""
    if sum(map(_committed, batches)) != new_in_tables(ledger):
        return by_reading
    after = [batch for batch in batches if batch.at_ms > 1000 * began_at_s and _committed(batch)]
    last_s = max((batch.at_ms / 1000 for batch in after), default=began_at_s)
    return Drained(last_s - began_at_s, sum(map(_committed, after)))


def _committed(batch: Batch) -> int:
    return batch.applied + batch.quarantined


def are_in_stream(observed: Observation, metrics: Metrics, ended_s: float) -> bool:
    """Events that are in no table were not lost but never processed: nothing reads the stream any more, the function
    did not run at all, or Lambda still refused it when the load ended, `ended_s` after its start."""
    if observed.capacity.stopped is not None:
        return True
    shared = is_shared(observed.missing)  # what was left out is of before; what was counted since then is known
    by_name = {one.name: one for one in observed.series if shared or not one.is_partial}
    if not (observed.has_metrics or shared) or any(sentence.startswith(LOG) for sentence in observed.missing):
        return False
    invocations, throttles = by_name.get("invocations"), by_name.get("lambda_throttles")
    if not observed.batches and (invocations is None or not invocations.total):
        return True
    if throttles is None or sum(batch.events for batch in observed.batches) >= metrics.acknowledged:
        return False
    refused = [second for second, value in throttles.points if value]
    return bool(refused) and max(refused) + 2 * throttles.resolution_s >= ended_s
