"""DRIVER: many seeds one after the other, or on several processes. The results do not depend on how many."""

import gc
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import process_time

from infra.sim.scenario import Scenario
from infra.sim.simulation import Result, simulate

CHUNK = 20  # seeds that a process is given at once
COLLECT_EVERY = 100  # simulations between two collections of young garbage: a world that is over leaves little


@dataclass(slots=True)
class Tally:
    """Sums over results. `cpu_s` is the CPU time of the simulations alone, over all processes."""

    seeds: int = 0
    put: int = 0
    handed: int = 0
    applied: int = 0
    invocations: int = 0
    documents: int = 0
    virtual_s: float = 0.0
    cpu_s: float = 0.0
    faults_met: dict[str, int] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)

    def add(self, result: Result, cpu_s: float) -> None:
        self.seeds += 1
        self.put += result.put
        self.handed += result.handed
        self.applied += result.applied
        self.invocations += result.invocations
        self.documents += result.documents
        self.virtual_s += result.virtual_s
        self.cpu_s += cpu_s
        for sums, counts in ((self.faults_met, result.faults_met), (self.missed, result.missed)):
            for name, count in counts.items():
                sums[name] = sums.get(name, 0) + count


def run(
    scenarios: Sequence[Scenario],
    *,
    processes: int = 1,
    memo: bool = True,
    done: Callable[[Result], object] = lambda _: None,
) -> tuple[Tally, list[Result]]:
    """Simulate them all; `done` is called with each result, in the order of `scenarios`. Returns the sums, and the
    results with a violation.
    """
    tally, failures = Tally(), []
    for result, cpu_s in _results(scenarios, processes, memo):
        tally.add(result, cpu_s)
        if result.violation is not None:
            failures.append(result)
        done(result)
    return tally, failures


def _results(scenarios: Sequence[Scenario], processes: int, memo: bool) -> Iterator[tuple[Result, float]]:
    if processes == 1:
        with _without_collector():
            for place, scenario in enumerate(scenarios):
                yield _one(scenario, memo, collect=place % COLLECT_EVERY == COLLECT_EVERY - 1)
        return
    chunks = [scenarios[at : at + CHUNK] for at in range(0, len(scenarios), CHUNK)]
    # Not forked: the caller may have threads, and what one of them had locked would stay locked.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("forkserver")) as pool:
        for results in pool.map(_chunk, chunks, [memo] * len(chunks)):
            yield from results


def _chunk(scenarios: Sequence[Scenario], memo: bool) -> list[tuple[Result, float]]:
    with _without_collector():
        return [
            _one(scenario, memo, collect=place % COLLECT_EVERY == COLLECT_EVERY - 1)
            for place, scenario in enumerate(scenarios)
        ]


def _one(scenario: Scenario, memo: bool, *, collect: bool) -> tuple[Result, float]:
    began_s = process_time()
    result = simulate(scenario, memo=memo)
    if collect:
        gc.collect(0)  # the young: what is remembered of payloads stays, and is not looked at again
    return result, process_time() - began_s


@contextmanager
def _without_collector() -> Iterator[None]:
    """The collector walks over all remembered payloads again and again; a finished world's cycles can wait."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
