"""The arithmetic of the quotas, and which of them a measured rate is said to be limited by."""

import pytest

from loadgen.sweep.quotas import (
    BYTES,
    MACHINE,
    READS,
    RECORDS,
    RESERVED,
    TABLE,
    TIME,
    UNKNOWN,
    Cost,
    Point,
    guess,
    name_limit,
    quotas,
)

SMALL = Cost(1.0, 290.0, 1000.0, 0.1, 0.5)


def named(point: Point, cost: Cost) -> dict[str, float]:
    return {quota.name: quota.events_per_s for quota in quotas(point, cost)}


def test_shards_allow_records_and_bytes() -> None:
    found = named(Point(3, 4, 1000, aggregate=None), SMALL)
    assert found[RECORDS] == 3000
    assert found[BYTES] == pytest.approx(3 * 1024 * 1024 / 290)
    assert found[READS] == 2 * found[BYTES]


def test_aggregation_multiplies_the_records_and_not_the_bytes() -> None:
    found = named(Point(1, 4, 1000), Cost(100.0, 29_000.0, 5000.0, 0.5, 0.1))
    assert found[RECORDS] == 100_000
    assert found[BYTES] == pytest.approx(1024 * 1024 / 290)


def test_lanes_or_reserved_executions_work_off_batches() -> None:
    cost = Cost(1.0, 290.0, 100.0, 1.0, None)
    assert named(Point(2, 4, 100, aggregate=None), cost)[TIME] == 800
    reserved = named(Point(2, 4, 100, 3, None), cost)
    assert reserved[RESERVED] == 300
    assert TIME not in reserved
    assert named(Point(2, 4, 100, 8, None), cost)[TIME] == 800


def test_a_table_gives_its_units() -> None:
    assert named(Point(1, 1, 1000, aggregate=None, table_write_units=50), SMALL)[TABLE] == 100
    assert TABLE not in named(Point(1, 1, 1000, aggregate=None), SMALL)


def test_the_lowest_quota_is_first() -> None:
    found = quotas(Point(1, 1, 1000, aggregate=None, table_write_units=50), SMALL)
    assert [quota.events_per_s for quota in found] == sorted(quota.events_per_s for quota in found)
    assert found[0].name == TABLE


def test_before_anything_was_measured_batches_are_full_or_as_large_as_a_payload() -> None:
    assert guess(Point(1, 1, 100, aggregate=None), 256, 32).events_per_batch == 100
    large = guess(Point(1, 1, 1000, aggregate=None), 100_000, 32)
    assert large.events_per_batch == pytest.approx(47, abs=1)
    assert guess(Point(1, 1, 100, function_latency_ms=500), 256, 32).batch_s > 0.5


ONE_SHARD = quotas(Point(1, 4, 1000, aggregate=None), SMALL)
WRITES = ("shard write quota", "shard write quota: 900 attempts throttled")
NOTHING = ("nothing", "no limit")


def test_throttling_that_was_seen_names_its_limit_with_the_nearer_arithmetic() -> None:
    found = name_limit(WRITES, ONE_SHARD, 980.0, 0.5)
    assert (found.name, found.reason) == (RECORDS, WRITES[1])
    assert found.quota is not None
    assert found.quota.events_per_s == 1000
    assert found.following is not None
    assert found.following.name == BYTES


def test_throttling_far_below_its_quota_on_a_busy_machine_is_the_machines() -> None:
    assert name_limit(WRITES, ONE_SHARD, 500.0, 0.99).name == MACHINE
    assert name_limit(WRITES, ONE_SHARD, 500.0, 0.5).name == RECORDS


def test_a_quota_that_is_near_explains_a_rate_without_throttling() -> None:
    assert name_limit(NOTHING, ONE_SHARD, 980.0, 0.99).name == RECORDS


def test_without_throttling_and_quota_it_is_the_cpu_or_what_was_seen_or_not_known() -> None:
    assert name_limit(NOTHING, ONE_SHARD, 500.0, 0.95).name == MACHINE
    assert name_limit(NOTHING, ONE_SHARD, 500.0, 0.3).name == UNKNOWN
    assert name_limit(NOTHING, ONE_SHARD, 500.0, None).name == UNKNOWN
    late = ("sender: late", "sender: late: 5 of 10 events")
    assert name_limit(late, ONE_SHARD, 500.0, 0.3)[:2] == late
    busy = name_limit(late, ONE_SHARD, 500.0, 0.95)
    assert busy.name == MACHINE
    assert late[1] in busy.reason


def test_lanes_that_are_all_busy_are_the_functions_time() -> None:
    known = quotas(Point(1, 2, 100, aggregate=None), Cost(1.0, 290.0, 100.0, 1.0, None))
    found = name_limit(("function time", "all lanes busy"), known, 196.0, 0.2)
    assert found.name == TIME
    assert found.quota is not None
    assert found.quota.events_per_s == 200


def test_a_function_that_mostly_waits_is_not_blamed_on_the_cpu() -> None:
    waits = quotas(Point(1, 1, 50, aggregate=None, function_latency_ms=2000), Cost(1.0, 290.0, 50.0, 2.2, None))
    busy = ("function time", "function time: all lanes busy")
    found = name_limit(busy, waits, 22.0, 1.0)
    assert (found.name, found.quota) == (TIME, waits[0])
    computes = quotas(Point(1, 1, 50, aggregate=None), Cost(1.0, 290.0, 50.0, 2.2, None))
    assert name_limit(busy, computes, 22.0, 1.0).name == MACHINE


def test_a_function_that_waits_could_have_had_full_batches() -> None:
    cost = Cost(1.0, 290.0, 16.0, 2.0, None)
    assert named(Point(1, 4, 50, 1, None, 2000), cost)[RESERVED] == 25
    assert named(Point(1, 4, 50, 1, None), cost)[RESERVED] == 8
