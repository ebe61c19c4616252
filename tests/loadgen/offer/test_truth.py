"""What must be in the tables: remembered answers equal those of the processor's own parser and rules."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.ops.errors import CommandError
from loadgen.offer.events import EventOptions, Generator
from loadgen.offer.items import Item, content_of
from loadgen.offer.metered import MeteredEvents
from loadgen.offer.truth import RULES_MODULE, AddTo, Metered, More, Truths
from loadgen.sending.rules_module import effects_of
from processor.core.effects import Add, Effect, Latest, Record
from processor.core.errors import Reason, Refused
from processor.core.events import Event
from processor.core.rule_api import RuleSettings


@pytest.mark.skipif(effects_of(RULES_MODULE) is not None, reason="processor/rules.py is not the one that came along")
@given(st.integers(0, 1000), st.sampled_from([(), ("bytes",), ("quantity", "bytes"), ("other",)]), st.integers(1, 7200))
def test_the_truth_of_a_generated_event_is_that_of_its_payload(
    seed: int, measures: tuple[str, ...], window_s: int
) -> None:
    truths = Truths(RuleSettings(measures, window_s))
    generator = Generator(EventOptions("r", seed, 1_795_426_496.5, keys=5, duplicates=0.2, malformed=0.2))
    due_s = [i * 0.7 for i in range(60)]
    events = generator.many(due_s)
    for i, (event, known) in enumerate(zip(events, truths.of_many(events, range(60)), strict=True)):
        slow = truths.of_generated(event, i)
        if event.kind is None:
            assert slow._replace(copy=False) == truths.of_payload(event.payload, i)
            assert slow.copy == event.copy
            assert isinstance(known, Metered)
            assert known.truth() == slow
        else:
            assert (slow.reason, slow.whole) == (event.kind.reason, event.kind.whole)
        for name in ("due_us", "pk", "window", "digest", "amounts", "copy", "reason", "whole", "more", "has_effect"):
            assert getattr(known, name) == getattr(slow, name)
        assert list(known.windows()) == list(slow.windows())
        assert list(known.item_keys()) == list(slow.item_keys()) == []


@pytest.mark.skipif(effects_of(RULES_MODULE) is not None, reason="processor/rules.py is not the one that came along")
@given(
    st.integers(0, 1000), st.lists(st.floats(0, 1e4) | st.floats(0, 3), max_size=60).map(sorted), st.integers(1, 40),
    st.sampled_from([(0, 1), (2, 3)]), st.sampled_from([1, 3600]), st.sampled_from([0.0, 1.5]),
)  # fmt: skip
def test_events_and_truths_made_in_columns_are_those_made_one_after_the_other(
    seed: int, due_s: list[float], together: int, part: tuple[int, int], window_s: int, skew: float
) -> None:
    options = EventOptions("r", seed, 1_795_426_496.5, keys=7, skew=skew)
    settings = RuleSettings(("bytes", "quantity"), window_s)
    metered, generator, truths = (
        MeteredEvents(options, *part, Truths(settings)),
        Generator(options, *part),
        Truths(settings),
    )
    for first in range(0, len(due_s), together):
        moments = due_s[first : first + together]
        columns, events = metered.block(moments), generator.many(moments)
        assert columns.due_s == moments
        made = columns.events(0, len(moments))
        assert [event[:2] for event in made] == [(event.partition_key, event.payload) for event in events]
        for at_s, event, (_, _, known) in zip(moments, events, made, strict=True):
            assert isinstance(known, Metered)
            assert known.truth() == truths.of_generated(event, int(at_s * 1e6))
            assert (known.ordinal, known.place.source) == (event.ordinal, event.source)


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


EVENT = Generator(EventOptions("r", 1, 1_795_426_496.0)).next(0.0)


def test_everything_that_the_rules_ask_for_is_expected() -> None:
    def shop(_event: Event, _settings: RuleSettings) -> list[Effect]:
        return [
            Record("event", "1", {"size": 7}),
            Add("a", "w", {"sum_revenue": 3}),
            Latest("state", "now", {"size": 7}, 5),
            Add("b", "w", {}),
            Add("a", "w", {"sum_revenue": 4, "orders": 1}),
        ]

    truth = Truths(RuleSettings((), 60), shop).of_generated(EVENT, 7)
    assert (truth.pk, truth.window, truth.amounts) == ("a", "w", {"sum_revenue": 7, "orders": 1})
    content = content_of({"size": 7})
    items = (Item("event", "1", content), Item("state", "now", content, 5))
    assert truth.more == More((AddTo("b", "w", {}),), items)
    assert list(truth.windows()) == [("a", "w"), ("b", "w")]
    assert list(truth.item_keys()) == [("event", "1"), ("state", "now")]


def test_rules_that_ask_for_nothing_leave_an_event_without_effect() -> None:
    truth = Truths(RuleSettings((), 60), lambda *_: []).of_payload(EVENT.payload, 7)
    assert (truth.has_effect, truth.reason, bool(truth.digest)) == (False, None, True)


@pytest.mark.parametrize(
    "answer",
    [None, [7], [Add("", "w", {})], [Add("a", "w", {"events": 1})], [Record("a", "w", {}), Add("a", "w", {})]],
    ids=["nothing", "no effect", "no key", "reserved", "two kinds"],
)
def test_what_the_processor_takes_for_an_error_of_the_rules_is_expected_in_quarantine(answer: Any) -> None:
    truth = Truths(RuleSettings((), 60), lambda *_: answer).of_payload(EVENT.payload, 7)
    assert truth.reason == Reason.RULES_ERROR
    assert truth.digest


def test_an_exception_in_the_rules_is_expected_in_quarantine() -> None:
    truth = Truths(RuleSettings((), 60), lambda event, _: event.data["nothing"]).of_payload(EVENT.payload, 7)
    assert truth.reason == Reason.RULES_ERROR


@pytest.mark.parametrize(
    ("name", "said"), [("processor.nowhere", "cannot be imported"), ("processor", "have no effects")]
)
def test_rules_that_this_checkout_does_not_have_are_a_sentence(name: str, said: str) -> None:
    with pytest.raises(CommandError, match=said) as raised:
        effects_of(name)
    assert "the checkout that was deployed" in str(raised.value)


def test_rules_of_an_adopter_are_asked_and_those_that_came_along_are_known(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "shop_rules_of_a_test.py").write_text("def effects(event, settings):\n    return []\n")
    monkeypatch.syspath_prepend(tmp_path)
    effects = effects_of("shop_rules_of_a_test")
    assert effects is not None
    assert Truths(RuleSettings((), 60), effects).of_generated(EVENT, 0).has_effect is False
