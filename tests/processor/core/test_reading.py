"""A large aggregate is taken into the batch as one; what comes out is what one by one gives."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.core import plan as planning
from processor.core.effects import Add, Effect, Latest, Record
from processor.core.errors import Malformed, Refused
from processor.core.events import Event, digest
from processor.core.plan import PARSED_TOGETHER, Plan, plan
from processor.core.reading import RulesError, ask_all, read
from processor.core.records import KinesisRecord, UserRecord
from tests.processor.core.kpl import aggregate, encoded, kinesis

WINDOW = "2026-11-23T09:00:00Z"


def wishful(event: Event) -> Iterable[Effect]:
    """What the event asks for: usually one `Add`."""
    wish, subject = event.data.get("wish"), event.subject
    if wish == "refuse":
        raise Refused("as it wished")
    if wish == "bug":
        raise ZeroDivisionError
    if wish == "nothing":
        return []
    adds: list[Effect] = [Add(subject, WINDOW, {"sum_n": event.data["n"]})]
    if wish == "two":
        adds.append(Add("all", WINDOW, {}))
    if wish == "items":
        adds += [Record(event.digest, "event", {}), Latest(subject, "newest", {}, event.data["n"])]
    if wish == "clash":  # with what others of the subject add
        adds = [Latest(subject, WINDOW, {}, 1)]
    return adds


wishes = st.sampled_from([None] * 12 + ["refuse", "bug", "nothing", "two", "items", "clash", "junk"])
user_records = st.builds(
    lambda number, wish, n: (
        b"junk %d" % number
        if wish == "junk"
        else encoded(id=str(number), subject=f"s{number % 3}", data={"n": n, **({"wish": wish} if wish else {})})
    ),
    st.integers(0, 60),
    wishes,
    st.integers(0, 2),
)
groups = st.lists(st.lists(user_records, min_size=1, max_size=8), max_size=6)


def outcome(result: Plan) -> tuple[Any, ...]:
    """All of a plan, the order of its parts included."""
    adds = [(key, list(identities.items())) for key, identities in result.adds.items()]
    recent = list(result.recent.raised.items())
    items = list(result.records.items()), list(result.latest.items())
    # Traces name this program's lines, which differ.
    aside = [(bad.source, bad.subsequence_number, bad.reason, bad.detail, bad.payload) for bad in result.quarantined]
    return adds, items, aside, result.events, result.duplicates, result.several_totals, recent


@given(groups)
@settings(max_examples=300)
def test_an_aggregate_taken_as_one_gives_what_one_by_one_gives(datas: list[list[bytes]]) -> None:
    records = [kinesis(aggregate(("k", data) for data in group), number) for number, group in enumerate(datas)]
    plans = []
    for together in (1, 1_000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(planning, "PARSED_TOGETHER", together)
            plans.append(outcome(plan(records, wishful, systemic_share=1)))
    assert plans[0] == plans[1]


def large(first: int, subject: str = "s", **more: Any) -> KinesisRecord:
    payloads = [encoded(id=str(first + n), subject=subject, data={"n": n, **more}) for n in range(PARSED_TOGETHER)]
    return kinesis(aggregate(("k", payload) for payload in payloads), first)


def test_of_an_ordinary_large_aggregate_the_rules_are_asked_once_per_event() -> None:
    asked: list[str] = []

    def asking(event: Event) -> Iterable[Effect]:
        asked.append(event.id)
        return wishful(event)

    result = plan([large(0), large(100)], asking, systemic_share=1)
    assert asked == [str(first + n) for first in (0, 100) for n in range(PARSED_TOGETHER)]
    ((key, identities),) = result.adds.items()
    assert key == ("s", WINDOW)
    assert {contribution.sources for contribution in identities.values()} == {(0,), (1,)}
    assert identities[digest("/tests", "100")].amounts == {"sum_n": 0}


def test_the_rules_are_not_asked_again_because_one_of_an_aggregate_is_out_of_the_ordinary() -> None:
    asked: list[str] = []

    def asking(event: Event) -> Iterable[Effect]:
        asked.append(event.id)
        if event.id == "7":
            raise Refused("not this one")
        return wishful(event)

    result = plan([large(0)], asking, systemic_share=1)
    assert len(asked) == PARSED_TOGETHER
    assert [bad.subsequence_number for bad in result.quarantined] == [7]
    assert sum(map(len, result.adds.values())) == PARSED_TOGETHER - 1


def test_copies_of_a_whole_aggregate_are_not_shown_to_the_rules_again() -> None:
    asked: list[str] = []

    def asking(event: Event) -> Iterable[Effect]:
        asked.append(event.id)
        return wishful(event)

    result = plan([large(0), large(0)], asking, systemic_share=1)
    assert len(asked) == result.duplicates == PARSED_TOGETHER
    assert {contribution.sources for contribution in result.adds["s", WINDOW].values()} == {(0, 1)}


def users(*payloads: bytes) -> list[UserRecord]:
    return [UserRecord(place, "k", payload, True) for place, payload in enumerate(payloads)]


def test_identities_are_there_only_where_every_record_is_an_event_of_its_own() -> None:
    one, other = encoded(id="a"), encoded(id="b")
    assert read(users(one, other)).identities == {digest("/tests", "a"): False, digest("/tests", "b"): False}
    assert read(users(one, one)).identities is None
    mixed = read(users(one, b"junk"))
    assert mixed.identities is None
    assert isinstance(mixed.found[1], Malformed)


def test_adds_are_there_only_where_every_answer_is_one_add() -> None:
    ordinary = users(encoded(id="a", data={"n": 1}), encoded(id="b", data={"n": 2}))
    assert ask_all(read(ordinary), wishful).adds == {
        ("customer-1", WINDOW): {digest("/tests", "a"): {"sum_n": 1}, digest("/tests", "b"): {"sum_n": 2}}
    }
    for wish in ("refuse", "bug", "nothing", "two", "items", "clash"):
        odd = ask_all(read([*ordinary, *users(encoded(id="c", data={"n": 3, "wish": wish}))]), wishful)
        assert odd.adds is None
        assert len(odd.answers) == 3
        assert isinstance(odd.answers[2], RulesError) == (wish == "bug")
