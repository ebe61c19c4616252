"""PURE: why events left late: because of this machine, or because of calls that waited for their answers.

The sender keeps when a call was handed to its connection and when its answer was there; the process knows how much CPU
it used, how long it stood still, and how busy its machine was. What these do not tell apart is said as it is.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from loadgen.outcome.results import decode

BIN_S, BINS_MAX = 0.1, 36_000
STOOD_STILL = 0.5  # of the worst lateness
OWN_CPU = 0.85  # of a core for each sending process: Python hardly uses more, whatever the machine has
MACHINE_BUSY = 0.95  # of all cores, whoever for
IN_FLIGHT, IN_TIME = 0.8, 0.5  # of the connections, while late events waited: nearly all waited, or most were free

CPU, STILL, FULL, MACHINE, CALLS, UNKNOWN = "cpu", "still", "full", "machine", "calls", "unknown"


class Circumstances(NamedTuple):
    """Of the sending. `cpu_share`: of a core, per process. `still_s`, `still_max_s`: the process did not run although
    it wanted to, altogether and at once. `machine_share`: of all cores, whoever for. `in_flight`: calls in flight on
    average while late events waited, of so many `connections`. None: not known."""

    cpu_share: float | None = None
    still_s: float | None = None
    still_max_s: float | None = None
    machine_share: float | None = None
    in_flight: float | None = None
    connections: int = 0

    @classmethod
    def of(cls, numbers: Mapping[str, Any], configuration: Mapping[str, Any]) -> "Circumstances":
        """Of a report; an older one does not have them."""
        connections = configuration.get("connections")
        processes = str(configuration.get("processes", 1))
        count = connections if type(connections) is int else 0
        return cls(
            numbers.get("sender_cpu_share"),
            numbers.get("sender_still_s"),
            None,
            numbers.get("machine_cpu_share"),
            numbers.get("late_calls_in_flight_mean"),
            count * int(processes) if processes.isdecimal() and len(processes) < 5 else 0,
        )

    def named(self) -> dict[str, float | None]:
        """Under the names of report.json."""
        return {
            "sender_cpu_share": self.cpu_share,
            "sender_still_s": self.still_s,
            "machine_cpu_share": self.machine_share,
            "late_calls_in_flight_mean": self.in_flight,
        }


def in_flight(lines: Iterable[str], late_after_us: int, elapsed_s: float) -> float | None:
    """How many calls were in flight on average while late events waited; None: none did. `lines` of results.jsonl;
    a record's first call is known when it was the only one. Raises ResultsError."""
    bin_us = int(max(BIN_S, elapsed_s / BINS_MAX) * 1e6)
    calls_us: defaultdict[int, int] = defaultdict(int)
    waiting: defaultdict[int, int] = defaultdict(int)
    last: tuple[int, int] | None = None
    for line in lines:
        if not line.endswith("\n"):
            break
        result = decode(line)
        first_due_us = min(result.due_us, default=result.done_us)
        if result.put_us is None:
            continue
        if result.put_us - first_due_us > late_after_us:
            waiting[first_due_us // bin_us] += 1
            waiting[result.put_us // bin_us + 1] -= 1
        call = (result.put_us, result.done_us)
        if result.attempts == 1 and call != last:  # the records of a call end together
            last = call
            for number in range(result.put_us // bin_us, result.done_us // bin_us + 1):
                begin_us, end_us = number * bin_us, (number + 1) * bin_us
                calls_us[number] += max(0, min(result.done_us, end_us) - max(result.put_us, begin_us))
    total_us = bins = level = 0
    for number in range(min(waiting, default=0), max(waiting, default=0)):
        level += waiting.get(number, 0)
        if level:
            bins += 1
            total_us += calls_us.get(number, 0)
    return total_us / bins / bin_us if bins else None


def cause(known: Circumstances, late_max_ms: float) -> str:
    """CPU, STILL, FULL, MACHINE, CALLS or UNKNOWN. A process that has no CPU left sees its calls answered late, too."""
    if known.still_s is not None and known.still_s * 1000 >= STOOD_STILL * late_max_ms:
        return STILL
    if known.cpu_share is not None and known.cpu_share >= OWN_CPU:
        return CPU
    if known.machine_share is not None and known.machine_share >= MACHINE_BUSY:
        return FULL
    if known.in_flight is None or not known.connections:
        return UNKNOWN
    if known.in_flight >= IN_FLIGHT * known.connections:
        return CALLS
    return MACHINE if known.in_flight <= IN_TIME * known.connections else UNKNOWN


def who(known: Circumstances, late_max_ms: float) -> str:
    """In two words, for a sentence."""
    named = {
        CPU: "loadgen itself",
        STILL: "loadgen itself",
        FULL: "this machine",
        MACHINE: "this machine",
        CALLS: "the target",
    }
    return named.get(cause(known, late_max_ms), "this machine or the target")


def explained(known: Circumstances, late_max_ms: float) -> str:
    """A clause that names whose fault it was, and one on what shows it."""
    why = cause(known, late_max_ms)
    said = {
        CPU: "loadgen itself had no CPU left (--processes, or a faster machine)",
        STILL: "loadgen itself stood still (it was stopped, or got no CPU)",
        FULL: "this machine had no CPU left, whoever used it",
        MACHINE: "this machine did not keep up, not the connections",
        CALLS: "the connections did not keep up, not this machine: calls waited for their answers",
        UNKNOWN: "this machine or the connections to the target did not keep up",
    }[why]
    shown = _shown(known)
    return f"{said}; {', '.join(shown)}" if shown else said


def _shown(known: Circumstances) -> list[str]:
    found = []
    if known.cpu_share is not None:
        found.append(f"it used {known.cpu_share:.0%} of a core per process")
    if known.still_s:
        is_one = known.still_max_s is None or known.still_max_s >= known.still_s
        at_once = "" if is_one else f" ({known.still_max_s:,.1f} s at once)"
        found.append(f"it stood still for {known.still_s:,.1f} s{at_once}")
    if known.machine_share is not None:
        found.append(f"this machine was {known.machine_share:.0%} busy")
    if known.in_flight is not None and known.connections:
        found.append(f"{known.in_flight:.1f} of {known.connections} calls were in flight while late events waited")
    return found
