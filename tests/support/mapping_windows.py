"""A world whose function keeps a state, as tumbling windows want it."""

import json
from typing import Any

from infra.model.function import FunctionError, InvokeOutcome, Succeeded
from infra.model.mapping import Invoke
from tests.support.mapping_witness import Witness
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


def _has_state(payload: bytes) -> bool:
    try:
        answer = json.loads(payload)
    except ValueError:
        return False
    return isinstance(answer, dict) and isinstance(answer.get("state"), dict) and b"NaN" not in payload


class WindowWitness(Witness):
    """A window's last invocation has no records, an answer without a state is a failure; all else holds as ever."""

    def has_invoked(self, invoke: Invoke, outcome: InvokeOutcome) -> None:
        if invoke.window is not None and isinstance(outcome, Succeeded) and not _has_state(outcome.payload):
            outcome = FunctionError(outcome.request_id, "no state", b"{}")
        super().has_invoked(invoke, outcome)

    def _check_batch(self, now: float, invoke: Invoke) -> None:
        if invoke.records:
            super()._check_batch(now, invoke)
            return
        assert invoke.window is not None
        assert invoke.window.final


class WindowWorld(World):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.witness = WindowWitness(self.config, self.shards)
        self.answer = counting

    def restarted(self) -> World:
        again = super().restarted()
        settled_before, again.witness = again.witness.settled_before, WindowWitness(again.config, again.shards)
        again.witness.settled_before = settled_before
        again.answer = counting
        return again

    def of(self, shard_id: str) -> list[Invoke]:
        return [invoke for _, invoke in self.invokes if invoke.shard_id == shard_id]
