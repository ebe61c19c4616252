"""A world whose function keeps a state, as tumbling windows want it."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from infra.model.function import FunctionError, InvokeOutcome, Succeeded
from infra.model.mapping import Deliver, Invoke, MappingConfig
from infra.model.mapping.response import first_failed
from infra.model.mapping.windows import Window
from tests.support.mapping_witness import ScriptedShard, Witness
from tests.support.mapping_world import World


def state_in(invoke: Invoke) -> dict[str, Any]:
    """The state that the function gets."""
    state: dict[str, Any] = json.loads(invoke.event())["state"]
    return state


def counting(invoke: Invoke) -> InvokeOutcome:
    """Counts the window's records. Without windows it just succeeds."""
    if invoke.window is None:
        return Succeeded(invoke.request_id, b"null")
    state = json.loads(invoke.window.state)
    if invoke.records:
        state["records"] = state.get("records", 0) + len(invoke.records)
    return Succeeded(invoke.request_id, json.dumps({"state": state}).encode())


def _parsed(text: bytes) -> Any:
    """Numbers are not rounded; ValueError for what is not JSON in UTF-8."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    return json.loads(text.decode(), parse_int=Decimal, parse_float=Decimal, parse_constant=refuse)


def _state(payload: bytes) -> Any:
    try:
        answer = _parsed(payload)
    except ValueError:
        return None
    found = isinstance(answer, dict) and isinstance(answer.get("state"), dict)
    return answer["state"] if found else None


class WindowWitness(Witness):
    """What tumbling windows promise beside all else: batches of one window, a state that is handed on and never
    forgotten before its last invocation, one window at a time, no window begun anew while it is open.

    `ended` are the states with which windows ended, successfully or given up; `open` by shard is what is expected.
    """

    def __init__(self, config: MappingConfig, shards: Mapping[str, ScriptedShard]) -> None:
        super().__init__(config, shards)
        self.open: dict[str, tuple[Window, Any]] = {}
        self.ended: list[tuple[str, Window, Any]] = []
        self._given_up: set[str] = set()  # without a destination nobody sees that a last invocation was dropped

    @property
    def processed(self) -> set[tuple[str, int]]:
        """Settled, by this mapping or before it was disabled or restarted."""
        return self.settled | self.settled_before

    def invokes(self, now: float, invoke: Invoke) -> None:
        super().invokes(now, invoke)
        window = invoke.window
        if window is None:
            return
        if not window.final and invoke.shard_id in self._given_up:
            self._end(invoke.shard_id)
        expected = self.open.get(invoke.shard_id)
        if expected is None:
            assert not window.final, "the end of a window that is not open"
            expected = self.open[invoke.shard_id] = (window.window, {})
        assert (window.window, _parsed(window.state)) == expected
        assert all(record.arrived_at_ms < window.window.end_s * 1000 for record in invoke.records)
        assert bool(invoke.records) != window.final

    def has_invoked(self, invoke: Invoke, outcome: InvokeOutcome) -> None:
        state = None
        if invoke.window is not None and isinstance(outcome, Succeeded):
            state = _state(outcome.payload)
            if state is None:
                outcome = FunctionError(outcome.request_id, "no state", b"{}")
        super().has_invoked(invoke, outcome)
        if invoke.window is None:
            return
        done = first_failed(getattr(outcome, "payload", b""), invoke.records)
        if not self.config.report_batch_item_failures:
            done = len(invoke.records)
        if invoke.window.final and state is not None and done == 0:
            self._end(invoke.shard_id)
        elif invoke.window.final and self.config.on_failure_destination_arn is None:
            self._given_up.add(invoke.shard_id)
        elif state is not None and done > 0:
            self.open[invoke.shard_id] = (invoke.window.window, state)

    def has_delivered(self, deliver: Deliver) -> None:
        super().has_delivered(deliver)
        if deliver.discarded.window is not None and deliver.discarded.window.final:
            self._end(deliver.discarded.shard_id)

    def _end(self, shard_id: str) -> None:
        self.ended.append((shard_id, *self.open.pop(shard_id)))
        self._given_up.discard(shard_id)

    def _check_batch(self, now: float, invoke: Invoke) -> None:
        if invoke.records:
            super()._check_batch(now, invoke)
            return
        assert invoke.window is not None
        assert invoke.window.final
        if self.config.retry_attempts_max != -1:
            assert self._errors[invoke.request_id] <= self.config.retry_attempts_max, "the retry budget is exceeded"


class WindowWorld(World):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.witness = WindowWitness(self.config, self.shards)
        self.answer = counting

    def restarted(self) -> World:
        again = super().restarted()
        witness = WindowWitness(again.config, again.shards)
        witness.settled_before = self.windows.processed
        witness.open = dict(self.windows.open)
        again.witness, again.answer = witness, counting
        return again

    @property
    def windows(self) -> WindowWitness:
        assert isinstance(self.witness, WindowWitness)
        return self.witness

    def tell_subscribers(self) -> None:
        """An event to every subscription, if only to say that there is nothing."""
        self._wake()

    def of(self, shard_id: str) -> list[Invoke]:
        return [invoke for _, invoke in self.invokes if invoke.shard_id == shard_id]
