"""DRIVER: one seed, from its scenario to its result."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from infra.sim.clockwork import Trace
from infra.sim.memo import Memo
from infra.sim.rules import SimulatedRules
from infra.sim.scenario import Scenario
from infra.sim.violation import Violation
from infra.sim.world import World


@dataclass(frozen=True, slots=True)
class Result:
    """`put`: user records in the stream, resends included; `handed`: user records that the function planned,
    redeliveries included; `applied`: distinct events in the totals. `virtual_s` is simulated time. `missed`: Kinesis
    records that never were the function's: expired, put before the mapping began, or dropped by its filters.
    """

    seed: int
    trace_hash: str
    put: int
    handed: int
    applied: int
    invocations: int
    documents: int
    steps: int
    virtual_s: float
    faults_met: dict[str, int]
    missed: dict[str, int] = field(default_factory=dict)
    violation: Violation | None = None
    last_lines: list[str] = field(default_factory=list)


@lru_cache(maxsize=32)
def _memo(window_s: int, items: bool) -> Memo:
    return Memo(SimulatedRules(window_s, items))


def simulate(scenario: Scenario, *, memo: bool = True, echo: Callable[[str], object] | None = None) -> Result:
    """Run one scenario to its end or to the first broken promise. A machine that raises breaks one, too.

    `echo` is called with every line of the trace.
    """
    trace = Trace(echo)
    rules = SimulatedRules(scenario.window_s, scenario.items)
    world = World(scenario, rules, trace)
    violation = None
    try:
        if memo:
            with _memo(scenario.window_s, scenario.items).installed() as remembered:
                world.function.rules = remembered
                world.run()
        else:
            world.run()
    except Violation as found:
        violation = found.with_traceback(None)
    except Exception as error:  # noqa: BLE001 - whatever a machine raises is what the simulation is there to find
        violation = Violation("no exception", _where(error))
    producer, witness, function = world.producer, world.witness, world.function
    met = dict(function.faults_met)
    met |= {"producer_resend": producer.resent, "malformed": producer.malformed, "clock_skew": world.border.skewed}
    result = Result(
        seed=scenario.seed,
        trace_hash=trace.hash,
        put=producer.events,
        handed=function.events,
        applied=world.applied,
        invocations=witness.invocations,
        documents=witness.discarding.documents,
        steps=world.clock.steps,
        virtual_s=world.clock.now - world.clock.start_s,
        missed={name: count for name, count in witness.reading.missed.items() if count},
        faults_met={name: count for name, count in sorted(met.items()) if count},
        violation=violation,
        last_lines=trace.last if violation else [],
    )
    world.dismantle()
    return result


def _where(error: BaseException) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = "" if frame is None else f" in {frame.tb_frame.f_code.co_qualname}, line {frame.tb_lineno}"
    return f"{type(error).__name__}: {error}{place}"
