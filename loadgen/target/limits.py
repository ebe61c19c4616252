"""PURE: which limit a load ran into, and how that is known.

Every limit has one rule that looks at the measured series and says how much of it there was, or nothing. The first rule
that finds a limit in more than `ENOUGH` of its load names it; all else that was seen is said beside it. The order is
the way of an event: what keeps events from being sent or taken comes before what keeps them from being processed,
because whoever is kept out has no chance to be slow later on. Who only came late, at the pace that was offered, was not
kept out: when the target left work behind, its own limits come before that.
"""

from collections.abc import Callable, Sequence

from loadgen.outcome.account import counted
from loadgen.target.backlog import BEHIND, backlog, has_caught_up, was_held_up, was_left
from loadgen.target.behind import waited
from loadgen.target.evidence import Capacity, Evidence, Found, Judgement, Sent
from loadgen.target.lateness import CALLS, CPU, STILL, cause, explained
from loadgen.target.series import Series

ENOUGH = 0.01  # of attempts, of events, of seconds: a limit that is touched now and then does not limit the load
LATE = "sender: late"
ENDPOINT = "the stream's endpoint"
READS_REFUSED = 0.1  # of the calls that a shard allows: a poller that is refused now and then reads on at once
LATE_MS = 1_000  # events that leave less late than this are held up for a moment, not limited
THROTTLED_SECONDS = 0.5  # of the load's: throttled less often than this does not explain a late sender
SLOW_CALLS = 4  # a sender's connections: of calls in flight when a process itself stood still there are fewer
EXPLAINED = 0.5  # of the worst lateness, by one call; or of the load's time, by calls that waited
BUSY = 0.9  # of the lanes, on average over a second
BUSY_SECONDS = 0.5  # of the seconds in which anything ran: all lanes busy for so long is the function's time
READS_PER_SHARD_S = 5  # AWS: Kinesis quotas, GetRecords
RECORDS_PER_SHARD_S, BYTES_PER_SHARD_S = 1_000, 1024 * 1024  # AWS: Kinesis quotas, a shard's writes

MAPPING = "event source mapping"

__all__ = ["BEHIND", "ENDPOINT", "ENOUGH", "LATE", "LATE_MS", "judge"]

Rule = Callable[[Evidence], Found | None]


def judge(
    sent: Sent,
    series: Sequence[Series],
    capacity: Capacity,
    drain_s: float | None = None,
    *,
    is_complete: bool = True,
) -> Judgement:
    """Name the limit. `drain_s`: None when it was not waited for. `is_complete`: all of the load was taken and found;
    without it nobody can say that nothing held it up."""
    evidence = Evidence(sent, {one.name: one for one in series}, capacity, drain_s)
    is_trifle = sent.has_kept_pace and was_left(evidence)
    rules = (*KEPT_OUT, *PROCESSING, *LATENESS) if is_trifle else (*KEPT_OUT, *LATENESS, *PROCESSING)
    seen = [found._replace(share=min(1.0, found.share)) for rule in rules if (found := rule(evidence)) is not None]
    main = next((found for found in seen if found.is_limit and found.share > ENOUGH), None)
    if capacity.stopped is not None and not is_complete:
        reason = f"{MAPPING}: {capacity.stopped}, so what is left in the stream is not read"
        return Judgement(MAPPING, reason, tuple(seen))
    if main is None:
        return Judgement("nothing", _none(sent, seen, is_complete=is_complete), tuple(seen))
    return Judgement(main.limit, main.reason, tuple(found for found in seen if found is not main))


def _none(sent: Sent, seen: Sequence[Found], *, is_complete: bool) -> str:
    if sent.events and sent.late / sent.events > ENOUGH:
        late = f"{sent.late / sent.events:.1%} of it"
        if is_complete:
            return f"the load was taken and processed whole, {late} late; nothing held it up for 1 s or more"
        return f"none was seen that held the load up for 1 s or more, as far as it went; {late} left late"
    is_touched = any(found.share > ENOUGH for found in seen)
    none = "the limits that it touched held nothing up" if is_touched else "no limit was touched by more than 1 % of it"
    if is_complete:
        return f"the load was taken and processed as it was offered; {none}"
    return f"none was seen as far as the load went; {none}"


def _write_quota(evidence: Evidence) -> Found | None:
    sent = evidence.sent
    total = sum(sent.throttled.values())
    if not total:
        return None
    shard_id, most = max(sent.throttled.items(), key=lambda pair: pair[1])
    shards = evidence.capacity.shards
    where = f"on {shard_id}" if len(sent.throttled) == 1 else f"on {len(sent.throttled)} shards, most on {shard_id}"
    hot = ""
    if shards and shards > 1 and most > 2 * total / shards:
        hot = f", {most / total:.0%} of them on that one of {shards} shards: the keys are spread unevenly"
    return Found(
        "shard write quota",
        f"shard write quota: {counted(total, 'attempt')} of Kinesis records throttled {where} "
        f"({total / sent.attempts:.1%} of all attempts){hot}; {_which_quota(evidence)}",
        total / sent.attempts,
        not _is_late_by_itself(evidence),
    )


def _is_late_by_itself(evidence: Evidence) -> bool:
    late = _late(evidence)
    if late is None or not late.is_limit or late.share <= ENOUGH:
        return False
    throttled = {
        second
        for name, one in evidence.series.items()
        if name.startswith("write_throttles ")
        for second, _ in one.points
    }
    return len(throttled) < THROTTLED_SECONDS * evidence.sent.elapsed_s


def _which_quota(evidence: Evidence) -> str:
    sent, shards = evidence.sent, evidence.capacity.shards
    if not shards or not sent.elapsed_s:
        return f"a shard takes {RECORDS_PER_SHARD_S:,} records and 1 MiB per second"
    records = sent.records / sent.elapsed_s / (shards * RECORDS_PER_SHARD_S)
    size = sent.size / sent.elapsed_s / (shards * BYTES_PER_SHARD_S)
    what = "bytes" if size > records else "records"
    return f"what was taken is {records:.0%} of all shards' records and {size:.0%} of their bytes: {what} run out first"


def _other_errors(evidence: Evidence) -> Found | None:
    errors = evidence.sent.errors
    total = sum(errors.values())
    if not total:
        return None
    named = ", ".join(f"{code} ({count:,})" for code, count in sorted(errors.items(), key=lambda pair: -pair[1])[:3])
    return Found(
        ENDPOINT,
        f"{ENDPOINT}: {counted(total, 'attempt')} of Kinesis records failed: {named}",
        total / evidence.sent.attempts,
    )


def _slow_calls(evidence: Evidence) -> Found | None:
    """Events that are late because every connection waited for an answer: the sender could not send them."""
    sent, slow = evidence.sent, waited(evidence.sent.slow_calls)
    why = cause(sent.circumstances, sent.late_max_ms)
    if not sent.late or why in (STILL, CPU):
        return None
    is_explained = slow.longest_ms >= EXPLAINED * sent.late_max_ms or slow.together_s >= EXPLAINED * sent.elapsed_s
    if slow.calls >= SLOW_CALLS and is_explained:
        said = (
            f"{counted(slow.calls, 'call')} took 1 s or more to be answered, at worst {slow.longest_ms:,.0f} ms, and "
            f"during {slow.together_s:,.1f} s of {sent.elapsed_s:,.1f} s such calls kept later events waiting"
        )
        return Found(ENDPOINT, f"{ENDPOINT}: {said}", sent.late / sent.events)
    if why != CALLS:
        return None
    return Found(
        ENDPOINT,
        f"{ENDPOINT}: {explained(sent.circumstances, sent.late_max_ms)}",
        sent.late / sent.events,
        sent.late_max_ms >= LATE_MS,
    )


def _late(evidence: Evidence) -> Found | None:
    sent = evidence.sent
    if not sent.late:
        return None
    waiting = _slow_calls(evidence)
    return Found(
        LATE,
        f"sender: late: {sent.late:,} of {sent.events:,} events left later than the schedule explains, at worst "
        f"{sent.late_max_ms:,.0f} ms: "
        + ("calls waited for their answers" if waiting else explained(sent.circumstances, sent.late_max_ms)),
        sent.late / sent.events,
        sent.late_max_ms >= LATE_MS,
    )


def _table(evidence: Evidence) -> Found | None:
    throttled = evidence.total("table_write_throttles") + evidence.total("table_read_throttles")
    if not throttled:
        return None
    counted_units = evidence.series.get("table_write_units")
    units = counted_units.total if counted_units else evidence.total("write_units")
    limit = evidence.capacity.table_write_units_per_s
    most = ""
    if counted_units and counted_units.highest:  # the log has a batch's units in the second of its commit, however long
        length_s = counted_units.resolution_s
        most = f", at most {counted_units.highest / length_s:,.0f} per second over {length_s} s"
    return Found(
        "table write capacity",
        f"table write capacity: {throttled:,.0f} accesses throttled, {units:,.0f} write units used"
        f"{'' if counted_units else ' by the estimate of the processor'}{most}"
        f"{f'; the table allows {limit:,} per second' if limit else ''}",
        throttled / (throttled + units),
    )


def _quarantine(evidence: Evidence) -> Found | None:
    throttled = evidence.total("quarantine_throttles")
    if not throttled:
        return None
    units = evidence.total("quarantine_write_units")
    return Found(
        "quarantine write capacity",
        f"quarantine write capacity: {throttled:,.0f} accesses throttled, {units:,.0f} write units used: so many "
        "malformed events at a time are more than the quarantine's table takes",
        throttled / (throttled + units),
    )


def _concurrency(evidence: Evidence) -> Found | None:
    throttles = evidence.total("lambda_throttles")
    if not throttles:
        return None
    capacity = evidence.capacity
    kind = "account concurrency" if capacity.reserved_concurrency is None else "reserved concurrency"
    used, allowed = evidence.highest("concurrent_executions"), capacity.concurrency
    in_use = f"{used or 0:,.0f}{f' of {allowed:,}' if allowed is not None else ''} in use"
    lanes = f", {_want_one(capacity.lanes)}" if capacity.lanes else ""
    before = used is not None and allowed is not None and used < allowed and _began_before(evidence, "lambda_throttles")
    whose = "; all in a period that began before the load: they may be an earlier load's" if before else ""
    is_done = not before and has_caught_up(evidence) and not was_held_up(evidence)
    done = ", but nothing was left when sending ended" if is_done else ""
    return Found(
        kind,
        f"{kind}: {in_use}, {throttles:,.0f} throttles{lanes}{whose}{done}",
        throttles / (throttles + evidence.total("invocations")),
        not before and not is_done,
    )


def _want_one(lanes: int) -> str:
    return "1 lane wants one" if lanes == 1 else f"{lanes} lanes want one each"


def _began_before(evidence: Evidence, name: str) -> bool:
    """CloudWatch counts by periods: all that it counted is in one that had begun when the load did."""
    return all(second < 0 for second, count in evidence.series[name].points if count)


def _read_quota(evidence: Evidence) -> Found | None:
    throttled = evidence.total("read_throttles")
    if not throttled:
        return None
    calls = READS_PER_SHARD_S * (evidence.capacity.shards or 1) * evidence.sent.elapsed_s
    share = throttled / (throttled + calls)
    return Found(
        "shard read quota",
        f"shard read quota: GetRecords was refused {counted(round(throttled), 'time')}; a shard gives 5 calls and "
        "2 MiB per second, shared by all consumers without enhanced fan-out",
        share,
        share > READS_REFUSED,
    )


def _failures(evidence: Evidence) -> Found | None:
    failed, errors = evidence.total("batch_item_failures"), evidence.total("function_errors")
    if not failed and not errors:
        return None
    batches = evidence.total("invocations") or evidence.total("batches")
    parts = [f"{failed:,.0f} Kinesis records reported as batch item failures"] if failed else []
    parts += [f"{errors:,.0f} invocations that ended in an error"] if errors else []
    processed = evidence.total("batch_records")
    share = max(failed / processed if processed else 0.0, errors / batches if batches else 0.0)
    return Found("failing batches", f"failing batches: {' and '.join(parts)}, all of them delivered again", share)


def _lanes(evidence: Evidence) -> Found | None:
    """All that may run at once does: the function's own time limits; more at once or a shorter time would help."""
    capacity, running = evidence.capacity, evidence.series.get("concurrency")
    lanes, wanted = capacity.lanes, capacity.at_once
    if not lanes or not wanted or running is None or not running.points:
        return None
    busy = [second for second, value in running.points if value >= BUSY * wanted]
    share = len(busy) / len(running.points)
    if share < BUSY_SECONDS:
        return None
    is_narrow = wanted < lanes  # there are more lanes than may run
    many = f"{counted(wanted, 'execution')} that {lanes:,} lanes share" if is_narrow else counted(wanted, "lane")
    said = f"{BUSY:.0%} or more of {many} ran in {len(busy):,} of {len(running.points):,} seconds"
    if has_caught_up(evidence):
        return Found("function time", f"function time: {said}, but nothing was left when sending ended", share, False)
    who = "all executions busy" if is_narrow else "all lanes busy"
    return Found("function time", f"function time: {who}: {said}; {capacity.wider}, or a faster function", share)


def _keys(evidence: Evidence) -> Found | None:
    """A batch with a single outer partition key, again and again: a lane has no company to share its work with."""
    keys, size = evidence.series.get("effective_parallelism"), evidence.series.get("batch_size")
    lanes, running = evidence.capacity.at_once, evidence.series.get("concurrency")
    if keys is None or size is None or running is None or not lanes or not (evidence.drain_s and evidence.drain_s > 5):
        return None
    most = running.highest or 0.0
    mean_size = size.total / len(size.points)
    mean_keys = keys.total / len(keys.points)
    if mean_keys > 1.5 or mean_size < 10 or most > 0.5 * lanes:
        return None
    return Found(
        "partition keys",
        f"partition keys: batches of {mean_size:,.0f} Kinesis records have {mean_keys:.1f} outer partition keys, and "
        f"at most {most:.1f} of {lanes:,} batches at once ran: one key is never in two lanes",
        1.0 - most / lanes,
    )


KEPT_OUT: tuple[Rule, ...] = (_write_quota, _other_errors)
LATENESS: tuple[Rule, ...] = (_slow_calls, _late)
PROCESSING: tuple[Rule, ...] = (
    _table, _quarantine, _concurrency, _read_quota, _failures, _lanes, _keys, backlog,
)  # fmt: skip
