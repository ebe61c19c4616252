"""CPU of the local stack and the load generator while a backlog drains, and what a batch, an event, a page take of it.

`infra.plan.machine` has the model. Read from /proc, so Linux only; what ends in between is not counted, and during a
drain nothing ends.
"""

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from infra.plan import service
from infra.plan.machine import Machine, Work
from infra.plan.service import Sample, ServiceTimes

CPU = "cpu.json"
EVERY_S = 0.1
ENABLED = "is enabled again"  # what `loadgen run --profile backlog` says on stderr when draining begins
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Only the shape of what cannot be told apart; scaled to what is measured.
GUESSED_STACK, GUESSED_EVERY = Work(0.003, 2e-5, 3e-4), Work(0.008, 1e-4, 6e-4)


def measured(words: Sequence[str], stack_pid: int, folder: Path) -> tuple[int, str]:
    """Runs a load, and leaves the CPU of its drain in the folder. Returns the exit status and what it said."""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as load:
        assert load.stderr is not None
        sampler = Sampler((stack_pid, load.pid))
        said, enabled_s = [], 0.0
        for line in load.stderr:
            said.append(line)
            if ENABLED in line:
                enabled_s = time.monotonic()
        status = load.wait()
    sampler.stop()
    report = folder / "report.json"
    drain_s = json.loads(report.read_text())["numbers"]["drain_s"] if report.is_file() else None
    if enabled_s and drain_s:
        stack, environments, generator = sampler.between(enabled_s, enabled_s + drain_s)
        used = {"drain_s": drain_s, "stack_s": stack, "environments_s": environments, "load_generator_s": generator}
        (folder / CPU).write_text(json.dumps({name: round(value, 3) for name, value in used.items()}))
    return status, "".join(said)


class Sampler:
    """CPU seconds so far, ten times a second: the stack's process, its environments, the load generator."""

    def __init__(self, roots: tuple[int, int]) -> None:
        self._roots = roots
        self._samples: list[tuple[float, float, float, float]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        stack, generator = self._roots
        while not self._ended.wait(EVERY_S):
            used = dict(cpu_s((stack, generator)))
            below = sum(used.values()) - used.get(stack, 0.0) - used.get(generator, 0.0)
            self._samples.append((time.monotonic(), used.get(stack, 0.0), below, used.get(generator, 0.0)))

    def between(self, begin_s: float, end_s: float) -> tuple[float, float, float]:
        """Of what was sampled within these seconds."""
        inside = [sample for sample in self._samples if begin_s <= sample[0] <= end_s]
        first, last = inside[0], inside[-1]
        part = (end_s - begin_s) / max(1e-9, last[0] - first[0])
        return (part * (last[1] - first[1]), part * (last[2] - first[2]), part * (last[3] - first[3]))


def cpu_s(roots: Sequence[int]) -> Iterator[tuple[int, float]]:
    """(process, CPU seconds) of these processes and everything below them."""
    found: dict[int, tuple[int, float]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        found[int(file.parent.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    for process, (_, used_s) in found.items():
        above = process
        while above in found and above not in roots:
            above = found[above][0]
        if above in roots:
            yield process, used_s


@dataclass(frozen=True, slots=True)
class Drain:
    """One drained backlog: its counts (`seconds` of the sample are not used), its CPU, and how long its lanes ran."""

    name: str
    lanes: int
    counts: Sample
    cpu: Mapping[str, float]
    drain_s: float
    running_s: Sequence[float]  # executions at once, second by second

    @property
    def all_s(self) -> float:
        return self.cpu["stack_s"] + self.cpu["environments_s"] + self.cpu["load_generator_s"]


def drains(folders: Sequence[Path]) -> Iterator[Drain]:
    """Of the folders that have a report and the CPU of its drain."""
    for folder in folders:
        if (folder / CPU).is_file() and (folder / "report.json").is_file():
            plain = json.loads((folder / "report.json").read_text())
            yield _drain(folder.name, plain, json.loads((folder / CPU).read_text()))


def _drain(name: str, plain: Mapping[str, Any], cpu: Mapping[str, float]) -> Drain:
    capacity = plain["limits"]["capacity"]
    series = {one["name"]: [value for _, value in one["points"]] for one in plain["limits"]["series"]}
    counts = Sample(sum(series["batches"]), sum(series["processed"]), sum(series["write_units"]), 0.0)
    lanes = capacity["shards"] * capacity["parallelization_factor"]
    return Drain(name, lanes, counts, cpu, float(cpu["drain_s"]), series["concurrency"])


def fitted(found: Sequence[Drain], known: ServiceTimes, cores: int, source: str) -> Machine:
    """What the drains' CPU says of a batch, an event and a page. Raises ValueError without a drain."""
    stack = _fit([one.counts._replace(seconds=one.cpu["stack_s"]) for one in found], GUESSED_STACK, known)
    every = _fit([one.counts._replace(seconds=one.all_s) for one in found], GUESSED_EVERY, known)
    alone = [one for one in found if one.lanes == 1]
    begin_s = median(one.drain_s - sum(one.running_s) - _gap_s(one) * one.counts.batches for one in alone)
    gap_s = median(_gap_s(one) for one in alone)
    share = max(one.cpu["stack_s"] / (one.drain_s - max(0.0, begin_s)) for one in found)
    return Machine(cores, stack, every, min(1.0, share), max(0.0, begin_s), max(0.0, gap_s), source)


def _fit(samples: Sequence[Sample], guess: Work, known: ServiceTimes) -> Work:
    shape = ServiceTimes(
        guess.batch_s, guess.event_s, guess.write_s, 0.0, known.batch_cpu, known.event_cpu, known.write_cpu,
        known.memory_mb, "",
    )  # fmt: skip
    found = service.fit(samples, 0.0, shape, memory_mb=known.memory_mb, source="")
    return Work(found.batch_s, found.event_s, found.write_s)


def _gap_s(one: Drain) -> float:
    """Of a lane that is alone: what is left of the seconds between its first and its last, per batch."""
    middle = one.running_s[1:-1]
    batches = one.counts.batches * sum(middle) / max(1e-9, sum(one.running_s))
    return max(0.0, len(middle) - sum(middle)) / batches if batches else 0.0


def lines(found: Sequence[Drain], machine: Machine) -> Iterator[str]:
    """Measured CPU beside what the fit says."""
    for one in found:
        stack_s, all_s = machine.busy(*one.counts[:3])
        yield (
            f"{one.name}: {one.drain_s:.1f} s, CPU of the stack {one.cpu['stack_s']:.1f} s (fit {stack_s:.1f}), "
            f"environments {one.cpu['environments_s']:.1f} s, load generator {one.cpu['load_generator_s']:.1f} s, "
            f"all {one.all_s:.1f} s (fit {all_s:.1f}); executions {sum(one.running_s):.1f} s, gap {_gap_s(one) * 1000:.2f} ms"
        )
