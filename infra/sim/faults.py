"""DRIVER: what may go wrong, each as a named probability."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace


def _fault(default: float, per: str, meaning: str) -> float:
    probability: float = field(default=default, metadata={"per": per, "meaning": meaning})
    return probability


@dataclass(frozen=True, slots=True)
class Faults:
    """Probabilities from 0 to 1; the defaults are `--faults all`. `describe` says per what and what happens."""

    crash_before_commit: float = _fault(0.01, "invocation", "the process exits when it has planned, before any write")
    crash_during_commit: float = _fault(
        0.01, "invocation", "some statements of a call are applied, then the process exits"
    )
    crash_after_commit: float = _fault(0.01, "invocation", "everything is written, then the process exits unheard")
    timeout: float = _fault(0.005, "invocation", "a table call hangs until Lambda's timeout kills the process")
    throttle: float = _fault(0.02, "invoke", "429: the function does not run")
    service_error: float = _fault(0.01, "invoke", "Lambda answers 5xx: the function does not run")
    slow_table: float = _fault(0.02, "table call", "0.3 to 8 s instead of milliseconds; the client gives up after 4 s")
    table_throttle: float = _fault(
        0.04, "table call", "it, some of its statements, or for seconds all of some partition keys, are refused"
    )
    lost_response: float = _fault(0.02, "table call", "it takes effect but is answered with a timeout or a 5xx")
    duplicate_delivery: float = _fault(0.01, "invocation", "a second environment gets the same batch at the same time")
    lease_move: float = _fault(0.02, "second", "the mapping begins again from its checkpoints; old invocations run on")
    reshard: float = _fault(0.02, "second", "a shard is split, or two are merged")
    mapping_update: float = _fault(
        0.02, "second", "BatchSize and ParallelizationFactor change while it runs, or retries, bisect and record age"
    )
    mapping_disable: float = _fault(0.01, "second", "the mapping is disabled, and enabled again after up to 15 s")
    clock_skew: float = _fault(0.05, "record", "its arrival time is up to 1 s off, so that arrival times go back")
    malformed: float = _fault(0.02, "record", "garbage of some kind, as user record or as a whole aggregate")
    destination_fails: float = _fault(0.1, "document", "the on-failure destination refuses it: the records are dropped")
    producer_resend: float = _fault(
        0.02,
        "record",
        "the same events again under new sequence numbers: all, half, or half beside others of the same identities",
    )
    read_throttled: float = _fault(0.03, "read", "GetRecords, ListShards or SubscribeToShard is refused")
    subscription_dropped: float = _fault(0.02, "pushed event", "the subscription is cut off, perhaps before it arrives")

    def __post_init__(self) -> None:
        for name, probability in self:
            if not 0 <= probability <= 1:
                raise ValueError(f"{name}={probability:g}: a probability is a number from 0 to 1")

    def __iter__(self) -> Iterator[tuple[str, float]]:
        return ((each.name, getattr(self, each.name)) for each in fields(self))

    def __str__(self) -> str:
        """What `parse` reads back as the same."""
        if self == Faults():
            return "all"
        return ",".join(f"{name}={probability:g}" for name, probability in self if probability) or "none"


NONE = Faults(**dict.fromkeys((each.name for each in fields(Faults)), 0.0))


def parse(text: str) -> Faults:
    """`all`, `none`, or a list of `name` and `name=probability`: what is not named does not happen.

    `all` or `none` may begin a list, which then changes it: `all,reshard=0`. Raises ValueError.
    """
    defaults, found = Faults(), NONE
    for place, part in enumerate(text.split(",")):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if name in ("all", "none") and not equals and place == 0:
            found = defaults if name == "all" else NONE
            continue
        if name not in dict(defaults):
            raise ValueError(f"{name!r} is no fault; there are: all, none, {', '.join(dict(defaults))}")
        try:
            probability = float(number) if equals else dict(defaults)[name]
        except ValueError:
            raise ValueError(f"{name}={number}: a probability is a number from 0 to 1") from None
        found = replace(found, **{name: probability})
    return found


def describe() -> str:
    """A line for each fault: name, default, per what, what happens."""
    return "\n".join(
        f"  {each.name:<20} {each.default:<5g} per {each.metadata['per'] + ':':<12} {each.metadata['meaning']}"
        for each in fields(Faults)
    )
