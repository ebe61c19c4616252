"""PURE: everything that a plan's figures take for granted, as sentences."""

from infra.plan.basis import Basis
from infra.plan.candidates import Aims
from infra.plan.expect import Expectation
from infra.plan.levers import too_much_for_a_producer
from infra.plan.load import Wish
from infra.plan.quotas import (
    MIB,
    NEW_TABLE_WRITE_UNITS_PER_S,
    ON_DEMAND_NEW_BYTES_PER_S,
    ON_DEMAND_NEW_RECORDS_PER_S,
    SHARD_READ_BYTES_PER_S,
)
from infra.plan.search import Choice
from infra.plan.service import WHOLE_CPU_MB


def assumptions(wish: Wish, aims: Aims, choice: Choice, basis: Basis) -> list[str]:
    """Everything that the figures take for granted, as sentences."""
    setup, expected = choice.setup, choice.expectation
    poll = "read at once after a put, as the local stack does" if setup.read_on_put else "polled once per second"
    said = [
        f"Service times: {basis.times.source}.",
        f"CPU in proportion to memory up to {WHOLE_CPU_MB:,} MB; of a batch's own time {basis.times.batch_cpu:.0%}, of "
        f"an event's {basis.times.event_cpu:.0%}, of a write's {basis.times.write_cpu:.0%} is CPU, the rest waits.",
        f"A shard is {poll}; PutRecords {setup.put_s * 1000:g} ms, GetRecords {setup.read_s * 1000:g} ms, from the "
        f"mapping to the function {setup.invoke_s * 1000:g} ms.",
        f"{wish.keys:,} keys, Zipf {wish.skew:g}, steady all day: no peaks, no retries, no cold starts, nothing sent "
        "twice.",
        f"{wish.producer_count:,} producer process{'es' if wish.producer_count > 1 else ''}, each packing for itself"
        + (
            f" into {setup.outer_lanes:,} lanes (PackingSettings.lanes)." if wish.aggregate > 1 else ", not aggregated."
        ),
        "Which lane a partition key gets is not published by AWS; the model's hash stands for it.",
        f"Rules: one total per subject and {basis.window_s:,} s (the default rules); pages of at most 1 KB, one write "
        "unit.",
        f"Latency is from when an event is due until its batch is committed; {expected.simulated_shards:,} of "
        f"{setup.shards:,} shard{'s' if setup.shards > 1 else ''} ran in virtual time, "
        f"{expected.simulated_events:,} events.",
        "A quota is used up at the rate to which its use grows in proportion; bytes and records of shards, and the "
        "hottest item, by how aggregates and pages fill at that rate. Far above the wished rate that is too early: "
        "batches have more events of a key then, and fewer pages for each event.",
        f"Prices of {basis.prices.date}, {basis.prices.region}, list price without free tier, tax and discounts.",
    ]
    said.append(_on_demand(expected))
    if wish.malformed:
        said.append(
            "A malformed event is one write in quarantine, which takes as long as one of a page, and no page; which "
            "reasons they have is not known."
        )
    too_much = too_much_for_a_producer(wish)
    if too_much:
        said.append(too_much)
    if expected.busy > aims.utilisation * setup.lanes:
        said.append(
            f"{expected.busy:,.2f} of {setup.lanes:,} executions are busy because a lane that is done takes at once "
            f"what there is, with a batch's own time each; with full batches they do "
            f"{wish.rate / expected.function_rate:.0%} of what they can, which is what --utilisation is about."
        )
    if expected.writes_peak > NEW_TABLE_WRITE_UNITS_PER_S:
        said.append(
            f"A new on-demand table serves {NEW_TABLE_WRITE_UNITS_PER_S:,} write units/s; {expected.writes_peak:,.0f} "
            "are needed: set its warm throughput, or raise the load by at most double every 30 minutes."
        )
    if expected.bytes * choice.spread.hottest_share > 0.5 * SHARD_READ_BYTES_PER_S:
        said.append("The shards' reads are half used: a second reader without enhanced fan-out does not fit.")
    return said


def _on_demand(expected: Expectation) -> str:
    """What changes with the other mode of the stream."""
    fits = expected.bytes <= ON_DEMAND_NEW_BYTES_PER_S and expected.records <= ON_DEMAND_NEW_RECORDS_PER_S
    return (
        "On demand (StreamMode=ON_DEMAND) AWS chooses the shards: this plan's factor, latency and concurrency do not "
        f"hold there. A new stream takes {ON_DEMAND_NEW_BYTES_PER_S // MIB} MiB/s and {ON_DEMAND_NEW_RECORDS_PER_S:,} "
        f"records/s, later twice the highest of 30 days; this load is {expected.bytes / MIB:,.3g} MiB/s and "
        f"{expected.records:,.0f} records/s{'' if fits else ', which a new one refuses at first'}."
    )
