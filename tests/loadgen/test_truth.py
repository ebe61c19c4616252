"""What must be in the tables: remembered answers equal those of the processor's own parser and rules."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.events import EventOptions, Generator
from loadgen.truth import Truths
from processor.core.errors import Reason, Refused
from processor.core.rule_api import RuleSettings


@given(st.integers(0, 1000), st.sampled_from([(), ("bytes",), ("quantity", "bytes"), ("other",)]), st.integers(1, 7200))
def test_the_truth_of_a_generated_event_is_that_of_its_payload(
    seed: int, measures: tuple[str, ...], window_s: int
) -> None:
    truths = Truths(RuleSettings(measures, window_s))
    generator = Generator(EventOptions("r", seed, 1_795_426_496.5, keys=5, duplicates=0.2, malformed=0.2))
    for i in range(60):
        event = generator.next(i * 0.7)
        if event.kind is not None and event.kind.whole:
            truth = truths.of_generated(event, i)
            assert (truth.reason, truth.whole) == (event.kind.reason, True)
            continue
        assert truths.of_generated(event, i)._replace(copy=False) == truths.of_payload(event.payload, i)
        assert truths.of_generated(event, i).copy == event.copy


def test_an_event_that_the_rules_refuse_belongs_into_quarantine() -> None:
    def refuse(*_: Any) -> Any:
        raise Refused("no")

    event = Generator(EventOptions("r", 1, 1_795_426_496.0)).next(0.0)
    assert Truths(RuleSettings((), 60), refuse).of_payload(event.payload, 7).reason == Reason.RULES_REFUSED


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff"])
def test_what_is_no_event_has_a_reason_and_no_place(payload: bytes) -> None:
    truth = Truths(RuleSettings((), 60)).of_payload(payload, 7)
    assert truth.reason is not None
    assert (truth.pk, truth.window, truth.digest, truth.due_us) == ("", "", "", 7)
