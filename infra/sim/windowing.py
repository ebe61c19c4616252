"""DRIVER: tumbling windows, seen from outside (section 7 of the facts).

A shard is in one window at a time; a window begins at a multiple of its length with an empty state, its invocations get
the state that the last one with progress answered, and a last one without records ends it: when the next record belongs
to a later window, when the shard has ended, when it is idle for long, or early, when the state is too large. Until then
no record of a later window is sent, and then the state is gone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infra.model.function import InvokeOutcome, Succeeded
from infra.model.mapping import Invoke, MappingConfig
from infra.sim.seen import Put, SeenShard
from infra.sim.violation import Violation


@dataclass(slots=True)
class OpenWindow:
    """Epoch seconds, and the state that the next invocation is to have."""

    start_s: int
    end_s: int
    state: Any


class Windowing:
    """Of all shards. `open` are the windows that have begun and not ended, by shard."""

    def __init__(self, config: MappingConfig) -> None:
        self._config = config
        self.open: dict[str, OpenWindow] = {}
        self._over: dict[str, set[int]] = {}  # by shard, where a window began that is over

    def begin_anew(self) -> None:
        """Records may come again, and windows with them. Those that are open stay open."""
        self._over.clear()

    def sent(self, now: float, invoke: Invoke, shard: SeenShard, puts: Sequence[Put]) -> None:
        """An invocation of a mapping with windows is sent."""
        told = invoke.window
        if told is None:
            raise Violation("windows", f"an invocation for {shard.shard_id} names no window")
        window, state, found = told.window, json.loads(told.state), self.open.get(shard.shard_id)
        too_large = len(told.state) > self._config.pace.window_state_bytes_max
        if told.final:
            self._check_final(now, found, shard, puts, early=told.terminated_early, too_large=too_large)
        elif not puts or too_large:
            raise Violation("windows", f"{len(puts)} records are sent with a state of {len(told.state)} bytes")
        if found is None:
            found = OpenWindow(window.start_s, window.end_s, {})
            self._check_new(found, shard, puts[0])
            self.open[shard.shard_id] = found
        if (window.start_s, window.end_s) != (found.start_s, found.end_s):
            raise Violation("windows", f"{shard.shard_id} is sent {window} while {found} is open")
        if state != found.state:
            raise Violation("windows", f"{shard.shard_id}: {window} has the state {state}, it must be {found.state}")
        for put in puts:
            if put.arrived_at_ms >= found.end_s * 1000:
                raise Violation("windows", f"{shard.shard_id}: record {put.number} is later than {window}")

    def _check_new(self, window: OpenWindow, shard: SeenShard, first: Put) -> None:
        length_s = self._config.tumbling_window_s
        if window.start_s % length_s or window.end_s != window.start_s + length_s:
            raise Violation("windows", f"{window} is not aligned to {length_s} s")
        if not window.start_s * 1000 <= first.arrived_at_ms < window.end_s * 1000:
            raise Violation("windows", f"{shard.shard_id}: record {first.number} begins {window}, but is not of it")
        if window.start_s in self._over.get(shard.shard_id, ()) and not shard.aged:
            raise Violation("windows", f"{shard.shard_id}: {window} is over and begins again")

    def _check_final(
        self,
        now: float,
        found: OpenWindow | None,
        shard: SeenShard,
        puts: Sequence[Put],
        *,
        early: bool,
        too_large: bool,
    ) -> None:
        if puts or found is None:
            raise Violation("windows", f"{shard.shard_id}: a window's last invocation has records, or ends none")
        if early != too_large:
            raise Violation("windows", f"{shard.shard_id}: {found} ends early: {early}, too large: {too_large}")
        if early:
            return
        end_ms, waiting = found.end_s * 1000, shard.lowest_unsettled()
        if waiting is not None and waiting.number <= shard.held_to and waiting.arrived_at_ms < end_ms:
            raise Violation("windows", f"{shard.shard_id}: {found} is ended while record {waiting.number} of it waits")
        idle = now >= found.end_s + self._config.pace.window_idle_close_s
        later = any(put.arrived_at_ms >= end_ms for put in shard.order if put.number <= shard.held_to)
        if not (idle or later or shard.closed or not shard.held_to):  # 0: not known, what it holds
            raise Violation("windows", f"{shard.shard_id}: {found} is ended although it is not over")

    def ended(self, invoke: Invoke, outcome: InvokeOutcome, done: int) -> None:
        """The function has settled `done` of the records."""
        found, told = self.open.get(invoke.shard_id), invoke.window
        if found is None or told is None or not isinstance(outcome, Succeeded):
            return
        if told.final:
            self.over(invoke.shard_id, early=told.terminated_early)
        elif done:
            found.state = json.loads(outcome.payload)["state"]

    def over(self, shard_id: str, *, early: bool) -> None:
        """The last invocation of the open window has succeeded, or was given up."""
        found = self.open.pop(shard_id, None)
        if found is not None and not early:
            self._over.setdefault(shard_id, set()).add(found.start_s)
