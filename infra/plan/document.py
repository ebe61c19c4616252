"""PURE: a plan as plain data (schema `infra-plan/1`, docs/planning.md): every figure with what it rests on."""

from collections.abc import Sequence
from math import ceil
from typing import Any

from infra.plan import costs
from infra.plan.allowances import quotas_of
from infra.plan.assumptions import assumptions
from infra.plan.basis import Basis
from infra.plan.candidates import Aims
from infra.plan.check import summary
from infra.plan.costs import Usage, bill
from infra.plan.levers import levers
from infra.plan.load import Wish, events_per_record
from infra.plan.quotas import NEW_TABLE_WRITE_UNITS_PER_S, Quota
from infra.plan.reasons import reasons
from infra.plan.search import Choice
from infra.plan.service import to_plain

SCHEMA = "infra-plan/1"


def document(wish: Wish, aims: Aims, choice: Choice, basis: Basis) -> dict[str, Any]:
    """The whole plan. Times in seconds unless their name says otherwise; rates per second of the whole load."""
    setup, expected = choice.setup, choice.expectation
    quotas = quotas_of(wish, choice, basis)
    usage = usage_of(wish, choice, basis)
    parts = bill(usage, basis.prices)
    per_month = wish.rate * basis.prices.hours_per_month * 3600
    usd = sum(part.usd for part in parts)
    first_fixed = _first([quota for quota in quotas if not quota.can_be_raised], wish.rate)
    return {
        "schema": SCHEMA,
        "wish": {
            "events_per_s": wish.rate,
            "event_bytes": wish.event_bytes,
            "keys": wish.keys,
            "skew": wish.skew,
            "aggregate": wish.aggregate,
            "linger_ms": round(wish.linger_s * 1000, 3),
            "producers": wish.producer_count,
            "function_pause_ms": round(wish.pause_s * 1000, 3),
            "malformed": wish.malformed,
            "latency_p99_ms": round(aims.p99_s * 1000, 3),
            "utilisation": aims.utilisation,
        },
        "parameters": {
            "StreamMode": "PROVISIONED",
            "ShardCount": setup.shards,
            "ParallelizationFactor": setup.factor,
            "BatchSize": setup.batch_size,
            "BatchingWindowSeconds": setup.window_s,
            "MemorySize": setup.memory_mb,
            "ReservedConcurrency": setup.lanes,
        },
        "producers": {
            "processes": wish.producer_count,
            "aggregate": wish.aggregate,
            "linger_ms": round(wish.linger_s * 1000, 3),
            "lanes": setup.outer_lanes if wish.aggregate > 1 else None,
            "events_per_record": round(events_per_record(wish, setup.outer_lanes), 2),
        },
        "table": {
            "mode": "PAY_PER_REQUEST",
            "write_units_per_s": round(expected.writes, 1),
            "write_units_per_s_peak": round(expected.writes_peak, 1),
            "provisioned_write_units": ceil(expected.writes_peak / aims.utilisation),
            "warm_throughput_needed": expected.writes_peak > NEW_TABLE_WRITE_UNITS_PER_S,
        },
        "expected": expected_json(wish, choice, first_fixed["events_per_s"]),
        "meets_latency": choice.meets,
        "quotas": [quota.as_json(wish.rate) for quota in quotas],
        "first_limit": _first(quotas, wish.rate),
        "first_fixed_limit": first_fixed,
        "to_be_raised": _to_be_raised(quotas),
        "dollars": {
            "currency": "USD",
            "prices_of": basis.prices.date,
            "region": basis.prices.region,
            "per_month": round(usd, 2),
            "per_million_events": round(usd / per_month * 1e6, 6),
            "parts": [part.as_json(per_month, basis.prices) for part in parts],
            "instead": {
                "stream_provisioned": round(sum(part.usd for part in parts if part.name.startswith("Kinesis")), 2),
                "stream_on_demand": round(costs.on_demand_stream_usd(usage, basis.prices), 2),
                "table_on_demand": round(sum(p.usd for p in parts if p.name == "DynamoDB: results, write units"), 2),
                "table_provisioned": round(
                    costs.provisioned_table_usd(expected.writes_peak / aims.utilisation, basis.prices), 2
                ),
            },
        },
        "service_times": to_plain(basis.times),
        "error": {
            "held_out": basis.held_out,
            "calibration_runs": summary(basis.calibrated),
            "runs": [one.as_json() for one in basis.calibrated],
        },
        "assumptions": assumptions(wish, aims, choice, basis),
        "levers": levers(wish, aims, choice, first_fixed["events_per_s"]),
        "tried": list(choice.tried),
        "reasons": reasons(wish, basis.times, aims, choice),
    }


def expected_json(wish: Wish, choice: Choice, sustained: float) -> dict[str, Any]:
    """`sustained`: events per second at which the first quota is used up that cannot be raised."""
    expected = choice.expectation
    return {
        "latency_p50_ms": round(expected.p50_s * 1000, 1),
        "latency_p90_ms": round(expected.p90_s * 1000, 1),
        "latency_p99_ms": round(expected.p99_s * 1000, 1),
        "sustained_events_per_s": sustained,
        "drain_events_per_s": round(expected.sustained, 1),
        "drain_limited_by": "function time" if expected.function_rate <= expected.sustained else "shard read bytes",
        "drain_of_one_hour_s": None if expected.drain_s is None else round(expected.drain_s, 1),
        "invocations_per_s": digits(expected.invocations),
        "events_per_batch": digits(expected.events_per_batch),
        "batch_ms": digits(expected.batch_s * 1000),
        "executions_busy": digits(expected.busy),
        "hottest_shard_events_per_batch": round(expected.hottest_events_per_batch, 1),
        "hottest_shard_batch_ms": round(expected.hottest_batch_s * 1000, 1),
        "write_units_per_event": round(expected.writes / wish.rate, 5),
        "records_per_s": digits(expected.records),
        "record_bytes": round(expected.record_bytes, 1),
        "hottest_shard_share": round(choice.spread.hottest_share, 5),
        "hottest_lane_share": round(choice.spread.hottest_lane_share, 5),
        "simulated_shards": expected.simulated_shards,
        "simulated_events": expected.simulated_events,
    }


def digits(value: float) -> float:
    """Five of them, whatever the size: figures multiply up at an event a minute and at a million a second."""
    return float(f"{value:.5g}")


def usage_of(wish: Wish, choice: Choice, basis: Basis) -> Usage:
    expected, setup = choice.expectation, choice.setup
    per_key = expected.events_per_batch / max(1.0, expected.writes / max(1e-9, expected.invocations))
    return Usage(
        shards=setup.shards,
        memory_mb=setup.memory_mb,
        rate=wish.rate,
        records=expected.records,
        record_bytes=expected.record_bytes,
        invocations=expected.invocations,
        busy=expected.busy,
        writes=expected.writes,
        new_pages=costs.new_pages_per_s(wish, per_key, basis.window_s),
        malformed=wish.rate * wish.malformed,
        shard_metrics=basis.shard_metrics,
        architecture=basis.architecture,
        event_bytes=wish.event_bytes,
        put_units=expected.put_units,
    )


def _first(quotas: Sequence[Quota], rate: float) -> dict[str, Any]:
    """The one that is used up at the lowest rate, be it below the wished one."""
    growing = [(at, quota) for quota in quotas if (at := quota.at_rate(rate)) is not None]
    at, first = min(growing, key=lambda found: found[0])
    return {"name": first.name, "events_per_s": round(at, 1), "rests_on": first.rests_on}


def _to_be_raised(quotas: Sequence[Quota]) -> list[dict[str, Any]]:
    return [
        {"name": quota.name, "needed": ceil(quota.used), "default": quota.allowed, "unit": quota.unit}
        for quota in quotas
        if quota.can_be_raised and quota.used > quota.allowed
    ]
