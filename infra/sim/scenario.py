"""DRIVER: what is simulated: the template's settings, or ones drawn from the seed, and what the command line fixes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from random import Random
from typing import Any, TypeVar

from infra.blueprint import Blueprint
from infra.model.mapping import MappingConfig, Pace
from infra.sim.faults import Faults
from infra.sim.filtering import FILTERS

T = TypeVar("T")

ACCOUNT, REGION = "000000000000", "us-east-1"
RETENTION_S = 24 * 3_600.0
START_S = 1_795_425_000.0  # the virtual clock begins here, and so do all records
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:failures"
BUCKET = "arn:aws:s3:::failures"
STREAM = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/simulated"
CONSUMER = f"{STREAM}/consumer/simulated:{int(START_S)}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One simulation. The names in the second block are AWS's settings, in the third the producers' behaviour.

    `aggregate` is user records per Kinesis record (1: not aggregated), `rate` user records per virtual second.
    `begins_after_s`: the mapping begins to poll so long after the first record is put. `filters` names one of
    filtering.FILTERS.
    """

    seed: int
    events: int
    faults: Faults

    shards: int = 2
    batch_size: int = 100
    batching_window_s: int = 0
    parallelization_factor: int = 1
    bisect: bool = False
    retries: int = -1
    record_age_s: int = -1
    report: bool = True
    timeout_s: int = 60
    reserved_concurrency: int = -1
    destination: str = BUCKET
    starting_position: str = "TRIM_HORIZON"
    starting_position_timestamp_s: float | None = None
    begins_after_s: float = 0.0
    filters: str = ""
    fan_out: bool = False
    tumbling_window_s: int = 0

    aggregate: int = 100
    keys: int = 20
    rate: int = 5_000

    systemic_share: float = 0.5
    window_s: int = 3_600
    items: bool = False
    cache_identities: int = 150_000
    hot_keys_max: int = 1
    hot_s_max: float = 5.0
    short_numbers: bool = False
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        limits = {
            "events": (1, 100_000_000), "shards": (1, 500), "timeout_s": (6, 900), "aggregate": (1, 5_000),
            "keys": (1, 1_000_000), "rate": (1, 1_000_000), "window_s": (1, 366 * 86_400),
            "reserved_concurrency": (-1, 900),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high or value == self.reserved_concurrency == 0:
                raise ValueError(f"{name} is {value}; accepted: {low} to {high}{_NOT_ZERO.get(name, '')}")
        self.mapping("mapping")

    def mapping(self, uuid: str) -> MappingConfig:
        """Raises ValueError outside of AWS's ranges."""
        return MappingConfig(
            uuid=uuid,
            function_arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:simulated",
            event_source_arn=CONSUMER if self.fan_out else STREAM,
            role_arn=f"arn:aws:iam::{ACCOUNT}:role/simulated",
            starting_position=self.starting_position,
            starting_position_timestamp_s=self.starting_position_timestamp_s,
            batch_size=self.batch_size,
            batching_window_s=self.batching_window_s,
            parallelization_factor=self.parallelization_factor,
            bisect_batch_on_function_error=self.bisect,
            retry_attempts_max=self.retries,
            record_age_s_max=self.record_age_s,
            report_batch_item_failures=self.report,
            on_failure_destination_arn=self.destination,
            tumbling_window_s=self.tumbling_window_s,
            filters=FILTERS[self.filters].patterns if self.filters else (),
            event_count_metrics=True,
            pace=self.pace,
        )

    def settings(self) -> dict[str, Any]:
        """Everything but seed, events and faults."""
        return {each.name: getattr(self, each.name) for each in fields(self)[3:]}


_NOT_ZERO = {"reserved_concurrency": ", but not 0: nothing would ever run"}


def of_template(blueprint: Blueprint) -> dict[str, Any]:
    """The settings that the template decides on. Raises ValueError for a template without a mapping."""
    if not blueprint.mappings:
        raise ValueError("the template has no AWS::Lambda::EventSourceMapping to simulate")
    mapping = blueprint.mappings[0]
    function = next(each for each in blueprint.functions if each.arn == mapping.function_arn)
    stream = next(each for each in blueprint.streams if each.arn == mapping.event_source_arn)
    return {
        "shards": stream.shard_count or 4,
        "batch_size": mapping.batch_size,
        "batching_window_s": mapping.batching_window_s,
        "parallelization_factor": mapping.parallelization_factor,
        "bisect": mapping.bisect_batch_on_function_error,
        "retries": mapping.retry_attempts_max,
        "record_age_s": mapping.record_age_s_max,
        "report": mapping.report_batch_item_failures,
        "destination": mapping.on_failure_destination_arn or QUEUE,
        "timeout_s": function.timeout_s,
        "reserved_concurrency": -1 if function.reserved_concurrency is None else function.reserved_concurrency,
        "systemic_share": float(function.environment.get("SYSTEMIC_SHARE", "0.5")),
        "window_s": int(function.environment.get("WINDOW_SECONDS", "3600")),
    }


def varied(seed: int) -> dict[str, Any]:
    """Settings drawn from the seed: small limits, so that every edge comes up within a few hundred events."""
    random = Random(f"{seed}/settings")  # noqa: S311 - repeatable, not secret

    def one(choices: Sequence[T]) -> T:
        return random.choice(choices)

    settings: dict[str, Any] = {
        "shards": one([1, 1, 2, 3, 5]),
        "batch_size": one([1, 2, 3, 5, 10, 25, 100, 1_000]),
        "batching_window_s": one([0, 0, 0, 1, 2, 5]),
        "parallelization_factor": one([1, 1, 2, 3, 10]),
        "bisect": one([False, True]),
        "retries": one([-1, 0, 1, 2, 3, 10]),
        "record_age_s": one([-1, -1, 60, 90]),
        "report": one([True, True, True, False]),
        "timeout_s": one([8, 20, 60]),
        "reserved_concurrency": one([-1, -1, -1, -1, 1, 3]),
        "destination": one([BUCKET, QUEUE]),
        "aggregate": one([1, 1, 2, 5, 20]),
        "keys": one([1, 3, 10, 60]),
        "rate": one([4, 20, 100, 1_000]),
        "window_s": one([5, 60, 3_600]),
        "items": one([False, False, True]),
        "cache_identities": one([0, 60, 150_000]),
        "hot_keys_max": one([2, 5, 40]),
        "hot_s_max": 40.0,
        "short_numbers": one([False, True]),
        "pace": Pace(
            poll_interval_s=one([5.0, 10.0]),
            read_on_put=one([True, True, True, False]),
            first_retry_s=one([0.2, 2.0]),
            retry_interval_s_max=one([5.0, 30.0]),
            event_bytes_max=one([6_291_556, 6_291_556, 6_291_556, 8_000, 5_000]),
            held_records_max=one([4, 20_000, 20_000]),
            held_bytes_max=one([1, 10**9, 10**9]),
        ),
    }
    settings |= _beginning(random)
    if settings["aggregate"] == 1:
        settings["filters"] = one(["", "", *FILTERS])
    window_s, state_bytes_max = one([0, 0, 0, 5, 30]), one([1024 * 1024, 60])
    if window_s and not settings.get("filters"):
        # Windows go with one lane per shard, and without filters. A state that grows cuts no batch again here.
        pace = replace(settings["pace"], event_bytes_max=Pace().event_bytes_max, window_state_bytes_max=state_bytes_max)
        settings |= {"tumbling_window_s": window_s, "parallelization_factor": 1, "pace": pace}
    settings["fan_out"] = one([False, False, True])
    if settings["fan_out"] and settings["aggregate"] > 1 and not settings.get("tumbling_window_s"):
        settings["filters"] = one(["", "", *FILTERS])  # they see what is in an aggregate
    return settings


def _beginning(random: Random) -> dict[str, Any]:
    """When the mapping begins, and where: at once, after some seconds, or when the first records begin to expire."""
    begins_after_s = random.choice((0.0, 0.0, 0.0, 4.0, 4.0, 20.0, RETENTION_S + 30.0 * random.random()))
    position = random.choice(("TRIM_HORIZON", "TRIM_HORIZON", "AT_TIMESTAMP", "LATEST"))
    if begins_after_s > RETENTION_S:
        position = "TRIM_HORIZON"
    at_s = None if position != "AT_TIMESTAMP" else START_S + round(begins_after_s * random.random(), 3)
    return {
        "starting_position": position,
        "starting_position_timestamp_s": at_s,
        "begins_after_s": begins_after_s,
    }


def scenario(
    seed: int,
    events: int,
    faults: Faults,
    *,
    template: Mapping[str, Any],
    vary: bool,
    fixed: Mapping[str, Any],
) -> Scenario:
    """`template`: from `of_template`; with `vary` the seed's settings are on top of it, and `fixed` is above all."""
    drawn = varied(seed) if vary else {}
    if fixed.get("parallelization_factor", 1) > 1 or fixed.get("filters"):
        drawn.pop("tumbling_window_s", None)  # they exclude each other
    found = replace(Scenario(seed, events, faults), **{**template, **drawn, **fixed})
    if found.retries == found.record_age_s == -1:
        # A record that is too large for an event would be tried for ever, as on AWS (fact 1.14).
        return replace(found, pace=replace(found.pace, event_bytes_max=Pace().event_bytes_max))
    return found
