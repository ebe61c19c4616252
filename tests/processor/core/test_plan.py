"""The write plan: every user record is applied, folded away as a copy, or quarantined; writes know their sources."""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.core.effects import Add, Effect, Latest, Record
from processor.core.errors import Malformed, Reason, Refused
from processor.core.events import Event, digest
from processor.core.plan import PARSED_TOGETHER, Contribution, Plan, plan
from processor.core.records import KinesisRecord
from processor.core.systemic import RAISED_MIN, RECENT_EVENTS_MAX, RecentOutcomes
from tests.processor.core.kpl import aggregate, encoded, kinesis, seal

WINDOW = "2026-11-23T09:00:00Z"


def count(event: Event) -> list[Effect]:
    return [Add(f"{event.type}#{event.subject}", WINDOW, {"sum_n": event.data["n"]} if "n" in event.data else {})]


def planned(*datas: bytes, rules: Callable[[Event], Any] = count, share: float = 1.0) -> Plan:
    return plan([kinesis(data, number) for number, data in enumerate(datas)], rules, systemic_share=share)


def amounts(result: Plan) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        key: {name: contribution.amounts for name, contribution in page.items()} for key, page in result.adds.items()
    }


def rule_error(effects: Any, data: bytes | None = None) -> str:
    """Return the detail with which an event is set aside whose rules return `effects`."""
    result = planned(data or encoded(), rules=lambda _: effects)
    (bad,) = result.quarantined
    assert bad.reason is Reason.RULES_ERROR
    assert not result.adds and not result.records and not result.latest
    return bad.detail


# One generated user record: well-formed, refused by the rules, a bug of the rules, or no event. Copies happen.
user_records = st.builds(
    lambda kind, number: {
        "good": encoded(id=str(number), subject=f"s{number % 3}", data={"n": number}),
        "refused": encoded(id=f"r{number}", data={"refuse": True}),
        "bug": encoded(id=f"b{number}", data={"bug": True}),
        "junk": b"junk %d" % number,
        "broken": b"\xf3\x89\x9a\xc2 broken %d" % number,
    }[kind],
    st.sampled_from(["good", "good", "good", "refused", "bug", "junk", "broken"]),
    st.integers(0, 9),
)


def picky(event: Event) -> Iterable[Effect]:
    if "refuse" in event.data:
        raise Refused("not wanted")
    if "bug" in event.data:
        raise ZeroDivisionError
    yield from count(event)


def packed(groups: list[list[bytes]]) -> list[KinesisRecord]:
    """One Kinesis record for each group: an aggregate, or, where there is one user record, that one as it is."""
    return [
        kinesis(group[0] if len(group) == 1 else aggregate(("k", data) for data in group), number)
        for number, group in enumerate(groups)
    ]


batches = st.lists(
    st.one_of(
        user_records.map(lambda one: [one]),
        st.lists(user_records.filter(lambda data: not data.startswith(b"\xf3")), min_size=2, max_size=5),
    ),
    max_size=8,
)


@given(batches, st.randoms(use_true_random=False), st.data())
def test_order_and_copies_of_records_change_nothing(
    groups: list[list[bytes]], rng: random.Random, data: st.DataObject
) -> None:
    once = plan(packed(groups), picky, systemic_share=1)
    more = groups + (data.draw(st.lists(st.sampled_from(groups), max_size=5)) if groups else [])
    rng.shuffle(more)
    again = plan(packed(more), picky, systemic_share=1)
    assert amounts(again) == amounts(once)
    assert {(bad.reason, bad.payload) for bad in again.quarantined} == {
        (bad.reason, bad.payload) for bad in once.quarantined
    }


@given(batches)
def test_every_user_record_is_applied_or_a_copy_or_quarantined_once(groups: list[list[bytes]]) -> None:
    result = plan(packed(groups), picky, systemic_share=1)
    applied = sum(len(page) for page in result.adds.values())
    assert result.events == sum(map(len, groups))
    assert result.events == applied + result.duplicates + len(result.quarantined)
    positions = [(bad.source, bad.subsequence_number) for bad in result.quarantined]
    assert len(set(positions)) == len(positions)
    for bad in result.quarantined:
        whole = bad.payload.startswith(b"\xf3")
        assert (bad.subsequence_number is None) == whole
        assert groups[bad.source][bad.subsequence_number or 0] == bad.payload


@given(batches)
def test_sources_name_every_kinesis_record_that_carried_an_identity(groups: list[list[bytes]]) -> None:
    result = plan(packed(groups), picky, systemic_share=1)
    for page in result.adds.values():
        for name, contribution in page.items():
            carriers = [
                index
                for index, group in enumerate(groups)
                if any(
                    digest("/tests", str(number)) == name
                    and encoded(id=str(number), subject=f"s{number % 3}", data={"n": number}) in group
                    for number in range(10)
                )
            ]
            assert contribution.sources == tuple(carriers)


@given(st.lists(user_records, min_size=PARSED_TOGETHER, max_size=2 * PARSED_TOGETHER), st.integers(1, 9))
def test_what_is_set_aside_is_in_the_order_of_the_stream_and_no_neighbour_matters(
    datas: list[bytes], size: int
) -> None:
    groups = [datas[at : at + size] for at in range(0, len(datas), size)]
    groups = [[data for data in group if size == 1 or not data.startswith(b"\xf3")] or [b"junk"] for group in groups]
    result = plan(packed(groups), picky, systemic_share=1)
    alone = [
        (source, None if whole else position, bad.reason, bad.payload)
        for source, group in enumerate(groups)
        for position, data in enumerate(group)
        for bad in plan([kinesis(data)], picky, systemic_share=1).quarantined
        for whole in [bad.subsequence_number is None]
    ]
    found = [(bad.source, bad.subsequence_number, bad.reason, bad.payload) for bad in result.quarantined]
    assert found == alone


def test_events_of_one_window_fold_into_one_item() -> None:
    result = planned(aggregate([("k", encoded(id=str(n), data={"n": n})) for n in range(3)]), encoded(id="9"))
    assert result.adds == {
        ("api.call#customer-1", WINDOW): {
            digest("/tests", "0"): Contribution({"sum_n": 0}, (0,)),
            digest("/tests", "1"): Contribution({"sum_n": 1}, (0,)),
            digest("/tests", "2"): Contribution({"sum_n": 2}, (0,)),
            digest("/tests", "9"): Contribution({}, (1,)),
        }
    }
    assert (result.events, result.duplicates, result.quarantined, result.systemic) == (4, 0, (), None)


def test_an_empty_batch_is_an_empty_plan() -> None:
    assert planned() == Plan({}, {}, {}, (), 0, 0)


def test_a_broken_aggregate_is_set_aside_whole_and_its_neighbours_are_applied() -> None:
    result = planned(encoded(id="1"), seal(b""), encoded(id="2"))
    (bad,) = result.quarantined
    assert (bad.source, bad.subsequence_number, bad.reason) == (1, None, Reason.EMPTY_AGGREGATE)
    assert (bad.partition_key, bad.payload, bad.traceback) == ("outer", seal(b""), None)
    assert len(result.adds[("api.call#customer-1", WINDOW)]) == 2


def test_a_bad_user_record_is_set_aside_with_its_position_and_its_neighbours_are_applied() -> None:
    result = planned(aggregate([("a", encoded(id="1")), ("b" * 3000, b"[]"), ("c", encoded(id="2"))]))
    (bad,) = result.quarantined
    assert (bad.source, bad.subsequence_number, bad.reason) == (0, 1, Reason.NOT_OBJECT)
    assert (bad.partition_key, bad.payload) == ("b" * 256, b"[]")
    assert len(result.adds[("api.call#customer-1", WINDOW)]) == 2


def test_every_copy_of_a_refused_event_is_kept_under_its_own_position() -> None:
    def refuse(_: Event) -> Iterable[Effect]:
        raise Refused("too old")

    result = planned(encoded(), encoded(), rules=refuse)
    assert [(bad.source, bad.reason, bad.detail) for bad in result.quarantined] == [
        (0, Reason.RULES_REFUSED, "too old"),
        (1, Reason.RULES_REFUSED, "too old"),
    ]
    assert result.duplicates == 0


@pytest.mark.parametrize("arguments", [(), (7,), ("x" * 5000,), ("half \ud800",), (b"bytes",)])
def test_whatever_a_refusal_says_can_be_stored(arguments: tuple[Any, ...]) -> None:
    def refuse(_: Event) -> Iterable[Effect]:
        raise Refused(*arguments)

    (bad,) = planned(encoded(), rules=refuse).quarantined
    assert 0 < len(bad.detail.encode()) <= 1024


# Rules with bugs


def test_an_exception_in_the_rules_is_told_with_its_place_and_without_the_payload() -> None:
    def lookup(event: Event) -> Iterable[Effect]:
        yield from count(event)
        event.data[event.subject]

    (bad,) = planned(encoded(subject="jane@example.com"), rules=lookup).quarantined
    assert bad.reason is Reason.RULES_ERROR
    assert bad.traceback is not None
    assert "test_plan.py:" in bad.traceback and "in lookup" in bad.traceback and bad.traceback.endswith("KeyError")
    assert "jane" not in bad.traceback + bad.detail


def test_nothing_of_an_event_is_applied_whose_rules_raise_half_way() -> None:
    def half(event: Event) -> Iterable[Effect]:
        yield from count(event)
        raise RuntimeError

    assert not planned(encoded(), rules=half).adds


def test_a_recursion_without_end_is_a_rules_error_with_a_short_traceback() -> None:
    def deeper(event: Event) -> Any:
        return deeper(event)

    (bad,) = planned(encoded(), rules=deeper).quarantined
    assert bad.reason is Reason.RULES_ERROR
    assert bad.traceback is not None
    assert "RecursionError" in bad.traceback and "more frames" in bad.traceback
    assert len(bad.traceback.splitlines()) < 20


def test_running_out_of_memory_is_nobodys_event() -> None:
    def greedy(_: Event) -> Any:
        raise MemoryError

    with pytest.raises(MemoryError):
        planned(encoded(), rules=greedy)


def test_malformed_raised_by_a_rule_keeps_its_own_reason_and_is_no_bug() -> None:
    def strict(_: Event) -> Any:
        raise Malformed(Reason.BAD_NUMBER, "data.n has too many digits")

    result = planned(*(encoded(id=str(n)) for n in range(50)), rules=strict, share=0.1)
    assert {bad.reason for bad in result.quarantined} == {Reason.BAD_NUMBER}
    assert result.systemic is None


def endless() -> Iterable[Effect]:
    while True:
        yield Add("pk", WINDOW, {})


class Unfriendly(dict[str, Any]):
    def __iter__(self) -> Any:
        raise ValueError("secret")

    def keys(self) -> Any:
        raise ValueError("secret")


BAD = [
    None,
    7,
    "text",
    [None],
    ["text"],
    [{"pk": "a"}],
    Add("a", "b", {}),
    [Add("", WINDOW, {})],
    [Add("pk", "", {})],
    [Add("x" * 2049, WINDOW, {})],
    [Add("\u00e4" * 1025, WINDOW, {})],
    [Add("pk", "w" * 1019, {})],
    [Add("pk", WINDOW + "#00001", {})],
    [Add("half \ud800", WINDOW, {})],
    [Add(7, WINDOW, {})],  # type: ignore[arg-type]
    [Add(["pk"], WINDOW, {})],  # type: ignore[arg-type]
    [Add("pk", None, {})],  # type: ignore[arg-type]
    [Add("pk", WINDOW, None)],  # type: ignore[arg-type]
    [Add("pk", WINDOW, 7)],  # type: ignore[arg-type]
    [Add("pk", WINDOW, Unfriendly(a=1))],
    [Add("pk", WINDOW, {"n": 1.5})],  # type: ignore[dict-item]
    [Add("pk", WINDOW, {"n": True})],
    [Add("pk", WINDOW, {"n": "1"})],  # type: ignore[dict-item]
    [Add("pk", WINDOW, {"n": None})],  # type: ignore[dict-item]
    [Add("pk", WINDOW, {"n": Decimal("NaN")})],
    [Add("pk", WINDOW, {"n": Decimal("sNaN")})],
    [Add("pk", WINDOW, {"n": Decimal("-Infinity")})],
    [Add("pk", WINDOW, {"n": 10**20})],
    [Add("pk", WINDOW, {"n": Decimal("1e20")})],
    [Add("pk", WINDOW, {"n": Decimal("1e-16")})],
    [Add("pk", WINDOW, {"n": Decimal("1e999999999999")})],
    [Add("pk", WINDOW, {7: 1})],  # type: ignore[dict-item]
    [Add("pk", WINDOW, {"": 1})],
    [Add("pk", WINDOW, {"n" * 65: 1})],
    [Add("pk", WINDOW, {'n" = 1 --': 1})],
    [Add("pk", WINDOW, {"_shape": 1})],
    [Add("pk", WINDOW, {f"n{number}": 1 for number in range(11)})],
    [Add("pk", WINDOW, {"n": 9 * 10**19}), Add("pk", WINDOW, {"n": 9 * 10**19})],
    [Add("pk", WINDOW, {f"{letter}{n}": 1 for n in range(6)}) for letter in "ab"],
    [Record("pk", "", {})],
    [Record("pk", "s" * 1025, {})],
    [Record("pk", "any#00001", {})],
    [Record("pk", "sk", {"a": 1.5})],  # type: ignore[dict-item]
    [Record("pk", "sk", {"a": b"bytes"})],  # type: ignore[dict-item]
    [Record("pk", "sk", {"a": [1]})],  # type: ignore[dict-item]
    [Record("pk", "sk", {"a": 10**38})],
    [Record("pk", "sk", {"a": Decimal("1e126")})],
    [Record("pk", "sk", {"a": "half \udfff"})],
    [Record("pk", "sk", {"a": "x" * 410_000})],
    [Record("pk", "sk", {f"a{number}": 1 for number in range(25)})],
    [Latest("pk", "sk", {}, 1.5)],  # type: ignore[arg-type]
    [Latest("pk", "sk", {}, True)],
    [Latest("pk", "sk", {}, None)],  # type: ignore[arg-type]
    [Latest("pk", "sk", {}, 10**38)],
    [Latest("pk", "sk", {}, "v" * 1025)],
    [Latest("pk", "sk", {}, "\ud800")],
    [Latest("pk", "sk", {"version": 1}, 1)],
    [Add("pk", "sk", {}), Record("pk", "sk", {})],
    [Record("pk", "sk", {}), Latest("pk", "sk", {}, 1)],
    [Latest("pk", "sk", {}, 1), Latest("pk", "sk", {}, "1")],
    [Add("pk", WINDOW, {"n": 1}), Add("pk", WINDOW, {"n": 1.5})],  # type: ignore[dict-item]
    *(
        [effect]
        for name in ("pk", "sk", "ids", "events", "expires_at")
        for effect in (Add("p", "s", {name: 1}), Record("p", "s", {name: 1}), Latest("p", "s", {name: 1}, 1))
    ),
]


@pytest.mark.parametrize("effects", BAD, ids=range(len(BAD)))
def test_effects_that_could_never_be_written_are_a_rules_error(effects: Any) -> None:
    detail = rule_error(effects)
    assert "secret" not in detail
    assert len(detail) < 300


def test_effects_without_end_are_a_rules_error() -> None:
    assert "more than 100" in rule_error(endless())


GOOD = [
    [],
    (),
    iter([]),
    [Add("x" * 2048, "w" * 1018, {})],
    [Add("pk", WINDOW, {"sum_n": 10**20 - 1, "m": Decimal("-99999999999999999999.999999999999999")})],
    [Add("pk", WINDOW, {"n": Decimal("1.5000000000000000000000")}), Add("pk", "other", {})],
    [Record("pk", "s" * 1024, {"a": None, "b": True, "c": "\u00e4", "d": -1, "e": Decimal("1e125")})],
    [Latest("pk", "sk", {"a": 1}, 10**38 - 1)],
    [Latest("pk", "sk", {}, "")],
]


@pytest.mark.parametrize("effects", GOOD, ids=range(len(GOOD)))
def test_effects_at_their_limits_are_taken(effects: Any) -> None:
    assert planned(encoded(), rules=lambda _: effects).quarantined == ()


def test_a_rule_that_changes_its_answer_afterwards_changes_nothing() -> None:
    shared = {"n": 1}

    def reuse(event: Event) -> list[Effect]:
        shared["n"] = int(event.id)
        return [Add("pk", WINDOW, shared)]

    result = planned(encoded(id="1"), encoded(id="2"), rules=reuse)
    assert [page.amounts for page in result.adds[("pk", WINDOW)].values()] == [{"n": 1}, {"n": 2}]


def test_two_adds_of_one_event_on_one_window_are_summed_exactly() -> None:
    many = Decimal("12345678901234567890.123456789012345")
    result = planned(
        encoded(), rules=lambda _: [Add("pk", WINDOW, {"n": many}), Add("pk", WINDOW, {"n": many, "m": 1})]
    )
    (contribution,) = result.adds[("pk", WINDOW)].values()
    assert contribution.amounts == {"n": Decimal("24691357802469135780.246913578024690"), "m": 1}


# Record and Latest


def by_id(event: Event) -> list[Effect]:
    return [Record("r", "k", {"id": event.id}), Latest("l", "k", {"id": event.id}, event.data["v"])]


def test_the_first_record_and_the_highest_version_win_and_every_source_is_named() -> None:
    result = planned(
        *(encoded(id=name, data={"v": version}) for name, version in [("a", 2), ("b", 3), ("c", 3), ("d", 1)]),
        encoded(id="b", data={"v": 3}),
        rules=by_id,
    )
    record = result.records[("r", "k")]
    assert (record.attributes, record.sources, record.version) == ({"id": "a"}, (0, 1, 2, 3, 4), None)
    latest = result.latest[("l", "k")]
    assert (latest.attributes, latest.sources, latest.version) == ({"id": "b"}, (0, 1, 2, 3, 4), 3)


@given(st.permutations([1, 5, 3, 10**30, -4]))
def test_the_highest_version_wins_in_any_order(versions: list[int]) -> None:
    result = planned(*(encoded(id=str(v), data={"v": v}) for v in versions), rules=by_id)
    assert result.latest[("l", "k")].version == 10**30


def test_versions_of_two_types_on_one_item_set_the_later_event_aside_whole() -> None:
    result = planned(encoded(id="a", data={"v": 1}), encoded(id="b", data={"v": "2"}), rules=by_id)
    (bad,) = result.quarantined
    assert (bad.source, bad.reason) == (1, Reason.RULES_ERROR)
    assert "version of type int" in bad.detail and "version of type str" in bad.detail
    assert result.records[("r", "k")].sources == (0,)


def test_an_item_of_another_kind_sets_the_later_event_aside_whole() -> None:
    def mixed(event: Event) -> list[Effect]:
        return [Add("x", "y", {}) if event.id == "a" else Record("x", "y", {}), Add("own", event.id, {})]

    result = planned(encoded(id="a"), encoded(id="b"), rules=mixed)
    assert [(bad.source, bad.reason) for bad in result.quarantined] == [(1, Reason.RULES_ERROR)]
    assert set(result.adds) == {("x", "y"), ("own", "a")}
    assert not result.records


# The systemic case


def buggy(event: Event) -> list[Effect]:
    if event.id.startswith("bad"):
        raise LookupError
    return count(event)


def batch(good: int, bad: int, start: int = 0) -> list[KinesisRecord]:
    names = [f"bad{n}" for n in range(start, start + bad)] + [f"good{n}" for n in range(start, start + good)]
    return [kinesis(encoded(id=name), number) for number, name in enumerate(names)]


def test_more_than_the_share_of_a_batch_raising_reports_the_batch_and_writes_nothing() -> None:
    result = plan([*batch(49, 51), kinesis(b"junk")], buggy, systemic_share=0.5)
    assert result.systemic is not None
    assert (result.systemic.raised, result.systemic.total, result.systemic.share) == (51, 100, 0.51)
    assert "in buggy" in result.systemic.first_traceback
    assert (result.adds, result.records, result.latest, result.quarantined) == ({}, {}, {}, ())
    assert result.events == 101


def test_a_share_that_is_just_reached_is_quarantined() -> None:
    result = plan(batch(50, 50), buggy, systemic_share=0.5)
    assert result.systemic is None
    assert Counter(bad.reason for bad in result.quarantined) == {Reason.RULES_ERROR: 50}


def test_few_raising_events_stop_no_line() -> None:
    assert plan(batch(0, RAISED_MIN - 1), buggy, systemic_share=0.5).systemic is None
    assert plan(batch(0, RAISED_MIN), buggy, systemic_share=0.5).systemic is not None


def test_effects_that_cannot_be_written_stop_the_line_too() -> None:
    result = plan(batch(20, 0), lambda _: None, systemic_share=0.5)  # type: ignore[arg-type, return-value]
    assert result.systemic is not None
    assert "NoneType" in result.systemic.first_traceback


def test_the_halves_of_a_bisected_batch_are_judged_like_the_whole() -> None:
    recent = plan(batch(0, 100), buggy, systemic_share=0.5).recent
    for start in range(100):
        result = plan(batch(0, 1, start), buggy, systemic_share=0.5, recent=recent)
        assert result.systemic is not None
        recent = result.recent
    assert len(recent.raised) == 100


def test_small_batches_of_a_bad_deployment_stop_the_line_without_a_big_one_before() -> None:
    recent = RecentOutcomes()
    verdicts = []
    for start in range(RAISED_MIN + 5):
        result = plan(batch(0, 1, start), buggy, systemic_share=0.5, recent=recent)
        recent = result.recent
        verdicts.append(result.systemic is not None)
    assert verdicts == [False] * (RAISED_MIN - 1) + [True] * 6


def test_one_event_delivered_again_and_again_is_one_event() -> None:
    recent = RecentOutcomes()
    for _ in range(50):
        result = plan(batch(0, 1), buggy, systemic_share=0.5, recent=recent)
        recent = result.recent
        assert result.systemic is None
        assert len(result.quarantined) == 1


def test_a_healthy_past_does_not_excuse_a_batch_that_fails() -> None:
    recent = plan(batch(1000, 0), buggy, systemic_share=0.5).recent
    assert plan(batch(0, 50, 5000), buggy, systemic_share=0.5, recent=recent).systemic is not None


def test_a_failed_past_does_not_condemn_a_batch_in_which_nothing_raises() -> None:
    recent = plan(batch(0, 500), buggy, systemic_share=0.5).recent
    assert plan(batch(1, 0), buggy, systemic_share=0.5, recent=recent).systemic is None


def test_the_memory_is_bounded_and_keeps_the_latest() -> None:
    recent = plan(batch(RECENT_EVENTS_MAX, 0), buggy, systemic_share=0.5).recent
    recent = plan(batch(7, 3, 5000), buggy, systemic_share=0.5, recent=recent).recent
    assert len(recent.raised) == RECENT_EVENTS_MAX
    assert sum(recent.raised.values()) == 3


def test_an_event_seen_again_is_remembered_as_the_latest() -> None:
    full = RecentOutcomes().followed_by({str(number): False for number in range(RECENT_EVENTS_MAX)})
    again = full.followed_by({"0": True}).followed_by({"new": False})
    assert again.raised["0"] is True
    assert "1" not in again.raised


def test_a_share_of_one_switches_the_judgement_off() -> None:
    result = plan(batch(0, 100), buggy, systemic_share=1.0)
    assert result.systemic is None
    assert len(result.quarantined) == 100


def test_refused_events_are_no_bugs() -> None:
    def refuse(_: Event) -> Iterable[Effect]:
        raise Refused("no")

    assert plan(batch(50, 0), refuse, systemic_share=0.1).systemic is None
