"""PURE: every quota that a plan is held against, with what it uses and what that rests on."""

from infra.plan.basis import Basis
from infra.plan.batches import batch_events_max, batch_seconds
from infra.plan.check import used_up_at
from infra.plan.expect import Expectation
from infra.plan.load import Wish, keys_of
from infra.plan.machine_load import machine_used_up_at
from infra.plan.quotas import (
    ACCOUNT_CONCURRENCY,
    ACCOUNT_UNRESERVED_MIN,
    EVENT_BYTES_MAX,
    MEMORY_MB_AT_FULL_PAYLOAD,
    PARTITION_WRITE_UNITS_PER_S,
    RECORD_EVENT_BYTES,
    SHARD_READ_BYTES_PER_S,
    SHARD_READS_PER_S,
    SHARD_WRITE_BYTES_PER_S,
    SHARD_WRITE_RECORDS_PER_S,
    TABLE_WRITE_UNITS_PER_S,
    TEMPLATE_TIMEOUT_S,
    Quota,
    account_shards,
)
from infra.plan.search import Choice
from infra.plan.service import ServiceTimes
from processor.core.chain import SEALED_AT


def quotas_of(wish: Wish, choice: Choice, basis: Basis) -> list[Quota]:
    """All that the plan is held against, those of one shard for the hottest one."""
    setup, expected, share = choice.setup, choice.expectation, choice.spread.hottest_share
    hot = f"the hottest shard's {share:.2%} of the load"
    full = batch_events_max(wish, setup)
    full_s = batch_seconds(full, wish, setup, basis.times)[0]
    key_rate = wish.rate * keys_of(wish.keys, wish.skew).weights[0]
    lane_cycles = expected.invocations / setup.lanes
    key_writes = min(key_rate, lane_cycles + key_rate / SEALED_AT)
    event_bytes = min(EVENT_BYTES_MAX, expected.hottest_events_per_batch * _event_size(wish, expected))
    return [
        Quota(
            "shard write bytes", expected.bytes * share, SHARD_WRITE_BYTES_PER_S, "bytes/s",
            f"{hot} x {expected.record_bytes:,.0f} bytes a record; AWS: 1 MiB/s a shard",
            used_up_at=used_up_at(wish, share, setup.outer_lanes, size=SHARD_WRITE_BYTES_PER_S),
        ),
        Quota(
            "shard write records", expected.records * share, SHARD_WRITE_RECORDS_PER_S, "records/s",
            f"{hot}, {wish.rate / expected.records:,.1f} events a record; AWS: 1,000 records/s a shard",
            used_up_at=used_up_at(wish, share, setup.outer_lanes, records=SHARD_WRITE_RECORDS_PER_S),
        ),
        Quota(
            "shard read bytes", expected.bytes * share, SHARD_READ_BYTES_PER_S, "bytes/s",
            f"{hot}, read once; AWS: 2 MiB/s a shard for all readers together",
            used_up_at=used_up_at(wish, share, setup.outer_lanes, size=SHARD_READ_BYTES_PER_S),
        ),
        Quota(
            "shard reads", 1.0, SHARD_READS_PER_S, "GetRecords/s",
            "the mapping polls once per second, four times with a backlog; AWS: 5 a shard", grows=False,
        ),
        Quota(
            "function time", wish.rate, expected.function_rate, "events/s",
            f"backlog run in virtual time, reads aside: the busiest of {_count(setup.lanes, 'lane')} has "
            f"{choice.spread.hottest_lane_share:.2%} of the load, a full batch of "
            f"{full:,.0f} events takes {full_s:,.2f} s (measured service times)"
            + ("" if setup.machine is None else ", and waits for this machine's CPU"),
        ),
        Quota(
            "function timeout", full_s, TEMPLATE_TIMEOUT_S, "s a batch",
            "a full batch by the measured service times; the template's Timeout", grows=False,
        ),
        Quota(
            "invocation payload", event_bytes, EVENT_BYTES_MAX, "bytes",
            "the hottest shard's average batch as base64; AWS: 6 MB; a batch is cut there: this limits only its size",
            grows=False,
        ),
        Quota(
            "memory", MEMORY_MB_AT_FULL_PAYLOAD, setup.memory_mb, "MB",
            "peak measured with a batch of 6 MB (python -m benchmarks.memory)", grows=False,
        ),
        Quota(
            "account concurrency", setup.lanes, ACCOUNT_CONCURRENCY - ACCOUNT_UNRESERVED_MIN, "executions",
            "shards x factor, one execution a lane; AWS: 1,000 an account, 100 of them cannot be reserved",
            grows=False, can_be_raised=True,
        ),
        Quota(
            "account shards", setup.shards, account_shards(basis.prices.region), "shards",
            f"AWS: an account's default in {basis.prices.region}; 20,000 in three regions, 1,000 or 6,000 elsewhere",
            grows=False, can_be_raised=True,
        ),
        Quota(
            "table write units", expected.writes_peak, TABLE_WRITE_UNITS_PER_S, "units/s",
            "pages written in the busiest second in virtual time; AWS: 40,000 a table by default", can_be_raised=True,
            used_up_at=_table_used_up_at(wish, expected),
        ),
        Quota(
            "hottest item's partition", key_writes, PARTITION_WRITE_UNITS_PER_S, "units/s",
            f"the hottest key's {key_rate:,.1f} events/s, one page a batch, and its full pages; AWS: 1,000 a partition",
            used_up_at=wish.rate * max(0.0, PARTITION_WRITE_UNITS_PER_S - lane_cycles) * SEALED_AT / key_rate,
        ),
        *_quarantine(wish),
        *_machine(wish, choice, basis.times),
    ]  # fmt: skip


def _quarantine(wish: Wish) -> list[Quota]:
    if not wish.malformed:
        return []
    rests_on = (
        f"{wish.malformed:.2%} of the events, all for one reason in the worst case: then the index by-reason has them "
        "in one partition; AWS: 1,000 a partition"
    )
    used = wish.rate * wish.malformed
    return [Quota("quarantine index's partition", used, PARTITION_WRITE_UNITS_PER_S, "units/s", rests_on)]


def _table_used_up_at(wish: Wish, expected: Expectation) -> float:
    """At the peak's share of the load, but lanes that are always busy write evenly, and as much as they can."""
    each = expected.writes / wish.rate
    can_be_reached = expected.function_rate * each >= TABLE_WRITE_UNITS_PER_S
    return TABLE_WRITE_UNITS_PER_S / (expected.writes_peak / wish.rate if can_be_reached else each)


def _machine(wish: Wish, choice: Choice, times: ServiceTimes) -> list[Quota]:
    """What the local stack shares; nothing on AWS."""
    machine = choice.setup.machine
    if machine is None:
        return []
    expected = choice.expectation
    use = machine.busy(expected.invocations, wish.rate, expected.writes + wish.rate * wish.malformed)
    each = zip(use, machine_used_up_at(wish, choice, times), strict=True)
    (stack, stack_at), (every, every_at) = each
    rests_on = f"batches, events and pages written, each with its CPU: {machine.source}"
    return [
        Quota("the local stack's process", stack, machine.stack_share, "CPU", rests_on, used_up_at=stack_at),
        Quota("this machine's cores", every, float(machine.cores), "CPU", rests_on, used_up_at=every_at),
    ]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _event_size(wish: Wish, expected: Expectation) -> float:
    """Bytes of the invocation's event per event."""
    each = wish.rate / expected.records
    return (expected.record_bytes * 4 / 3 + RECORD_EVENT_BYTES) / each
