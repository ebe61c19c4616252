"""Measures configurations of the local stack, fits the service times to some, predicts the others, and compares.

    python -m benchmarks.planning                    # measure everything, compare: about 20 minutes on an idle machine
    python -m benchmarks.planning --out out/planning --compare      # compare again, with what lies there
    python -m benchmarks.planning --out A B --compare --write        # both, and make it the default of `infra plan`

Each configuration is measured by `loadgen run`: once with a steady load that it can take (median latency from due to
committed), once with a backlog (how fast it is worked off, which is the highest rate that it sustains). The calibration
runs differ from the held-out ones in shards, factor, batch size, aggregation, keys, window and pause.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import planning_machine
from infra.ops.outputs import Connection, Target
from infra.plan import check, command, machine, service, show
from infra.plan.check import Compared
from infra.plan.machine import Machine
from infra.plan.measured import Run
from loadgen.observing.readback import find_stack
from loadgen.sweep.quotas import Point
from loadgen.sweeping.stack import Tuner

BIN = Path(sys.executable).parent
PAUSES = "pauses.json"
# CPU of the function alone, ms: for an event, and for an event that is a page of its own less that (README, `python -m
# benchmarks.handler`). What a batch takes beyond it, it waits for the table.
EVENT_CPU_MS, WRITE_CPU_MS = 0.0229, 0.098
QUIET_LOAD, QUIET_WITHIN_S = 1.5, 10.0


@dataclass(frozen=True, slots=True)
class Case:
    """A configuration and its loads. `steady`: events/s, 0: not run. `backlog`: events/s for `backlog_s`, 0: not run."""

    name: str
    shards: int
    factor: int
    batch: int
    window_s: int
    aggregate: int | None
    pause_ms: int
    keys: int
    steady: float
    backlog: float = 0.0
    backlog_s: float = 15.0
    reserved: int | None = None
    event_bytes: int = 256
    skew: float = 0.0
    duration_s: float = 20.0

    @property
    def point(self) -> Point:
        return Point(self.shards, self.factor, self.batch, self.reserved, self.aggregate, self.pause_ms)

    @property
    def warming(self) -> float:
        """Events/s of a small backlog in which every lane gets its environment."""
        return min(800.0, max(20.0, self.steady / 3, self.shards * self.factor * self.batch))


CALIBRATION = (
    Case("c1", 1, 1, 1000, 1, 100, 0, 50, 800),
    Case("c2", 1, 2, 500, 1, None, 0, 3000, 150),
    Case("c3", 2, 2, 1000, 1, 100, 0, 400, 600),
    Case("c4", 2, 1, 200, 0, None, 0, 300, 150),
    # Backlogs that are limited by the machine, for its CPU: one lane, many, small batches, large ones.
    Case("c5", 1, 1, 200, 1, None, 0, 2000, 0, 850, 24.0),
    Case("c6", 1, 1, 10, 0, None, 0, 400, 0, 300, 12.0),
    Case("c7", 2, 2, 20, 1, 100, 0, 400, 0, 2000, 18.0),
    Case("c8", 1, 4, 100, 1, None, 0, 600, 0, 850, 24.0),
)
HELD_OUT = (
    Case("h1", 1, 1, 50, 1, None, 500, 500, 55, 100),
    Case("h2", 1, 4, 50, 1, None, 1000, 1000, 100, 160, 20.0),
    Case("h3", 2, 2, 100, 1, None, 300, 40, 300, 700, 18.0),
    Case("h4", 4, 1, 20, 1, 50, 700, 200, 120, 400),
    Case("h5", 2, 1, 50, 1, 100, 0, 150, 400, 3000, 20.0),
    Case("h6", 1, 2, 100, 1, None, 400, 100, 100, 200, reserved=1),
    Case("h7", 1, 1, 1000, 3, 100, 0, 100, 400),
    Case("h8", 2, 4, 10, 0, 100, 400, 250, 300, 1200, 16.0),
    Case("h9", 1, 2, 50, 1, None, 0, 1000, 80, 700, 30.0, event_bytes=1024, skew=1.0),
    Case("h10", 4, 2, 25, 1, None, 600, 800, 150, 300, 20.0),
)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--out",
        type=Path,
        nargs="+",
        default=[Path("out/planning")],
        help="where the loads' reports go; several folders are compared together: of a load that was measured more than "
        "once, the run whose sender was late with the fewest events counts, whatever it measured",
    )
    options.add_argument("--compare", action="store_true", help="measure nothing")
    options.add_argument("--only", default="", help="names of cases, separated by commas")
    options.add_argument("--kinds", default="steady,backlog", help="which loads of a case")
    options.add_argument("--write", action="store_true", help="write infra/plan/service_times.json")
    chosen = options.parse_args()
    if not chosen.compare:
        only = set(chosen.only.split(",")) - {""}
        cases = [case for case in (*CALIBRATION, *HELD_OUT) if not only or case.name in only]
        measure(cases, chosen.out[0], set(chosen.kinds.split(",")))
    compare(chosen.out, write=chosen.write)
    return 0


def measure(cases: Sequence[Case], out: Path, kinds: set[str]) -> None:
    """Every case's loads on a stack of its own, with what they leave behind in folders of `out`."""
    out.mkdir(parents=True, exist_ok=True)
    stack = subprocess.Popen([BIN / "infra", "up", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert stack.stdout is not None
        endpoint = json.loads(stack.stdout.readline())["endpoint_url"]
        connection = Connection(Target(endpoint, "us-east-1", "stream-processor"))
        found = find_stack(connection)
        tuner = Tuner(connection, found, lambda: False)
        for case in sorted(cases, key=lambda case: case.shards):  # AWS: ten changes of the shards in 24 hours
            tuner.apply(case.point)
            set_window(connection, found.mapping_id, case.window_s)
            load(case, "warm", stack.pid, endpoint, out, rate=case.warming, seconds=3.0)
            if case.steady and "steady" in kinds:
                load(case, "steady", stack.pid, endpoint, out, rate=case.steady, seconds=case.duration_s)
            if case.backlog and "backlog" in kinds:
                load(case, "backlog", stack.pid, endpoint, out, rate=case.backlog, seconds=case.backlog_s)
    finally:
        stack.send_signal(signal.SIGTERM)
        stack.wait(60)


def set_window(connection: Connection, uuid: str, window_s: int) -> None:
    client = connection.client("lambda")
    client.update_event_source_mapping(UUID=uuid, MaximumBatchingWindowInSeconds=window_s)
    for _ in range(200):
        if client.get_event_source_mapping(UUID=uuid)["State"] == "Enabled":
            return
        time.sleep(0.05)
    raise SystemExit("the mapping is not enabled again")


def wait_for_quiet() -> None:
    """Others share this machine: begin when it is quiet, or after a while all the same."""
    until_s = time.monotonic() + QUIET_WITHIN_S
    while time.monotonic() < until_s and float(Path("/proc/loadavg").read_text().split()[0]) > QUIET_LOAD:
        time.sleep(1.0)


def load(case: Case, kind: str, stack_pid: int, endpoint: str, out: Path, *, rate: float, seconds: float) -> None:
    folder = out / f"{case.name}-{kind}"
    words = [BIN / "loadgen", "run", "--rate", f"{rate:g}", "--duration", f"{seconds:g}", "--endpoint-url", endpoint]
    words += ["--keys", f"{case.keys}", "--skew", f"{case.skew:g}", "--event-bytes", f"{case.event_bytes}"]
    words += [
        "--aggregate",
        "off" if case.aggregate is None else f"{case.aggregate}",
        "--settle",
        "0.5",
        "--out",
        folder,
    ]
    words += ["--profile", "backlog"] if kind != "steady" else []
    if kind != "warm":
        wait_for_quiet()
    begun_s = time.monotonic()
    status, said = planning_machine.measured([str(word) for word in words], stack_pid, folder)
    busy = Path("/proc/loadavg").read_text().split()[0]
    note = folder / PAUSES
    note.write_text(json.dumps({"pause_ms": case.pause_ms, "loadavg": float(busy)}))
    print(
        f"{case.name} {kind}: exit {status}, {time.monotonic() - begun_s:.0f} s, load average {busy}",
        flush=True,
    )
    if status:
        print(said[-600:], flush=True)


def runs(cases: Sequence[Case], outs: Sequence[Path]) -> Iterator[Run]:
    for case in cases:
        for kind in ("steady", "backlog"):
            if folder := chosen_folder(case, kind, outs):
                (run,) = command.read_runs(folder)
                yield run.with_pause(case.pause_ms / 1000)


def chosen_folder(case: Case, kind: str, outs: Sequence[Path]) -> Path | None:
    """Of the runs of this load the one whose sender was late least."""
    rate, seconds = (case.steady, case.duration_s) if kind == "steady" else (case.backlog, case.backlog_s)
    found = [out / f"{case.name}-{kind}" for out in outs]
    reports = [(folder, json.loads(file.read_text())) for folder in found if (file := folder / "report.json").is_file()]
    usable = [(lateness(report), folder) for folder, report in reports if rate and is_of(case, rate, seconds, report)]
    return min(usable)[1] if usable else None


def lateness(report: Mapping[str, Any]) -> float:
    """How little the machine kept up with the sender alone: the one sign of other work that every report has."""
    return float(report["numbers"]["late_share"])


def is_of(case: Case, rate: float, seconds: float, report: Mapping[str, Any]) -> bool:
    """Measured with this case's present settings, and to its end."""
    asked, capacity = report["configuration"], report["limits"]["capacity"]
    sizes = (int(asked["keys"]), capacity["shards"], capacity["parallelization_factor"], capacity["batch_size"])
    same = sizes == (case.keys, case.shards, case.factor, case.batch)
    return not report["partial"] and same and (float(asked["rate"]), float(asked["duration"])) == (rate, seconds)


def compare(out: Sequence[Path], *, write: bool) -> None:
    """Fits, predicts, prints; with `write` the default service times become these."""
    known, _ = command.default_times()
    calibration = list(runs(CALIBRATION, out))
    # A batch's time alone: what lanes wait for each other with a backlog is the machine's part.
    times = command.calibrated([run for run in calibration if not run.is_backlog or run.setup.lanes == 1], known)
    print(json.dumps(service.to_plain(times)))
    here = fitted_machine(out, times)
    print(json.dumps(machine.to_plain(here)))
    calibration, held_out = (on(here, found) for found in (calibration, runs(HELD_OUT, out)))
    for title, some in (("calibration", calibration), ("held out", held_out)):
        compared = [one for run in some for one in check.compare(run, times)]
        print(f"\n{title}")
        print("\n".join(show.compared_lines([one.as_json() for one in compared])))
        print(json.dumps(check.summary(compared)))
    print(markdown(compared))
    if write:
        write_default(times, here, compared)


def fitted_machine(out: Sequence[Path], times: service.ServiceTimes) -> Machine:
    """By the calibration backlogs alone."""
    folders = [chosen_folder(case, "backlog", out) for case in CALIBRATION]
    found = list(planning_machine.drains([folder for folder in folders if folder]))
    if not found:
        raise SystemExit("no backlog of a calibration case was measured: leave --compare away, or --only c5,c6,c7,c8")
    source = f"CPU of all processes by /proc while {', '.join(drain.name for drain in found)} drained"
    here = planning_machine.fitted(found, times, os.cpu_count() or 1, source)
    print("\n".join(planning_machine.lines(found, here)))
    return here


def on(here: Machine, found: Iterable[Run]) -> list[Run]:
    return [replace(run, setup=command.on_machine(run.setup, here)) for run in found]


def markdown(compared: Sequence[Compared]) -> str:
    """The table of docs/planning.md."""
    cases = {case.name: case for case in HELD_OUT}
    lines = ["| | configuration and load | what | predicted | measured | off |", "|---|---|---|---|---|---|"]
    for one in compared:
        case = cases[one.run.partition("-")[0]]
        rate = case.backlog if one.run.endswith("backlog") else case.steady
        words = [f"{case.shards} x {case.factor}", f"batch {case.batch:,}", f"window {case.window_s} s"]
        words += [f"aggregate {case.aggregate or 'off'}", f"{case.keys:,} keys"]
        words += [f"pause {case.pause_ms} ms"] if case.pause_ms else []
        words += [f"reserved {case.reserved}"] if case.reserved else []
        words += [f"{case.event_bytes:,} bytes, Zipf {case.skew:g}"] if case.event_bytes != 256 else []
        doubt = " (doubtful)" if one.doubts else ""
        figures = f"{one.predicted:,.0f} {one.unit} | {one.measured:,.0f} {one.unit} | {one.off:+.0%}{doubt}"
        lines.append(f"| {case.name} | {', '.join(words)}; {rate:,.0f}/s | {one.what} | {figures} |")
    return "\n".join(lines)


def write_default(times: service.ServiceTimes, here: Machine, compared: Sequence[Compared]) -> None:
    today = datetime.now(UTC).date().isoformat()
    source = (
        f"measured on the local stack on {today} (python -m benchmarks.planning), two shared x86-64 cores, Python 3.11"
    )
    times = replace(
        times,
        source=source,
        event_cpu=min(1.0, round(EVENT_CPU_MS / 1000 / times.event_s, 2)),
        write_cpu=min(1.0, round(WRITE_CPU_MS / 1000 / times.write_s, 2)),
    )
    document: dict[str, Any] = {
        "schema": command.CALIBRATION_SCHEMA,
        "date": today,
        "times": service.to_plain(times),
        "machine": machine.to_plain(here),
        "held_out": check.summary(compared),
        "runs": [one.as_json() for one in compared],
    }
    command.SERVICE_TIMES.write_text(json.dumps(document, indent=1) + "\n")
    print(f"wrote {command.SERVICE_TIMES}")


if __name__ == "__main__":
    sys.exit(main())
