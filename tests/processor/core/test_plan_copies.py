"""Records of one identity that differ in data, time, type or subject: one answer, whatever the order and the batching."""

import random
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.core.cache import PageCache
from processor.core.commit import Commit
from processor.core.effects import Add, Effect, Latest, Record
from processor.core.errors import Reason, Refused
from processor.core.events import Event, digest
from processor.core.plan import Plan, plan
from processor.core.records import KinesisRecord
from processor.core.rule_api import measure, window_start
from processor.core.systemic import RAISED_MIN
from tests.processor.core.kpl import aggregate, encoded, kinesis
from tests.support.driving import drive
from tests.support.toytable import ToyTable

NINE, TEN = "2026-11-23T09:00:00Z", "2026-11-23T10:00:00Z"
Total = tuple[tuple[str, str], str]
"""An item that is added to, and the identity that is in it."""


def metered(event: Event) -> Iterable[Effect]:
    """One total, as the default rules have it; an event may ask to be refused, or for a bug."""
    if "refuse" in event.data:
        raise Refused("not wanted")
    if "bug" in event.data:
        raise ZeroDivisionError
    amount = measure(event, "n")
    amounts = {} if amount is None else {"sum_n": amount}
    return [Add(f"{event.type}#{event.subject}", window_start(event.time_s, 3_600), amounts)]


def everything(event: Event) -> Iterable[Effect]:
    """Two totals, an item of its own and the newest of its subject."""
    amounts = {"sum_n": event.data.get("n", 0)}
    return [
        *metered(event),
        Add(f"all#{event.type}", "ever", amounts),
        Record(f"record#{event.digest}", "event", amounts),
        Latest(f"latest#{event.subject}", "newest", amounts, event.data.get("n", 0)),
    ]


def planned(*datas: bytes, rules: Any = metered) -> Plan:
    return plan([kinesis(data, number) for number, data in enumerate(datas)], rules, systemic_share=1)


# Few identities, so that most records have something in common with another one.
user_records = st.one_of(
    st.builds(
        lambda name, hour, subject, kind, data: encoded(
            id=name, time=f"2026-11-23T{hour}:11:52Z", subject=subject, type=kind, data=data
        ),
        st.sampled_from("abc"),
        st.sampled_from(["09", "09", "10"]),
        st.sampled_from(["s", "s", "t"]),
        st.sampled_from(["k", "k", "l"]),
        st.sampled_from(
            [{"n": 1}, {"n": 1}, {"n": 2}, {"n": 2, "more": 1}, {}, {"n": 10**30}, {"refuse": 1}, {"bug": 1}]
        ),
    ),
    st.sampled_from([b"junk", encoded(id="a", time="noon"), encoded(id="b", data=[])]),
)
groups = st.lists(st.lists(user_records, min_size=1, max_size=4), min_size=1, max_size=8)
rules = st.sampled_from([metered, everything])


def stream(records: list[list[bytes]]) -> list[KinesisRecord]:
    return [
        kinesis(group[0] if len(group) == 1 else aggregate([("k", data) for data in group]), number)
        for number, group in enumerate(records)
    ]


class Store(NamedTuple):
    """The tables as a reader sees them: of an identity in a total, and of an item, the first write stays."""

    adds: dict[Total, Any]
    records: dict[tuple[str, str], Any]
    latest: dict[tuple[str, str], Any]
    quarantine: dict[tuple[str, int | None], tuple[Reason, bytes]]

    def write(self, batch: Sequence[KinesisRecord], done: Plan) -> None:
        for key, identities in done.adds.items():
            for identity, contribution in identities.items():
                self.adds.setdefault((key, identity), contribution.amounts)
        for key, write in done.records.items():
            self.records.setdefault(key, write.attributes)
        for key, write in done.latest.items():
            assert write.version is not None
            if key not in self.latest or self.latest[key][0] < write.version:
                self.latest[key] = write.version, write.attributes
        for bad in done.quarantined:
            position = (batch[bad.source].sequence_number, bad.subsequence_number)
            assert self.quarantine.setdefault(position, (bad.reason, bad.payload)) == (bad.reason, bad.payload)


def stored(batches: Iterable[Sequence[KinesisRecord]], rules: Any) -> Store:
    store = Store({}, {}, {}, {})
    for batch in batches:
        store.write(batch, plan(batch, rules, systemic_share=1))
    return store


def cut(deliveries: list[KinesisRecord], rng: random.Random) -> list[list[KinesisRecord]]:
    batches: list[list[KinesisRecord]] = [[]]
    for record in deliveries:
        if rng.random() < 0.3:
            batches.append([])
        batches[-1].append(record)
    return batches


@given(groups, rules, st.randoms(use_true_random=False))
def test_any_order_redelivery_and_batching_counts_and_sets_aside_the_same(
    records: list[list[bytes]], rules: Any, rng: random.Random
) -> None:
    """All but what has to depend on which copy comes first: the amounts and attributes of copies that differ."""
    rows = stream(records)
    alone = [stored([[row]], rules) for row in rows]
    deliveries = rows + rng.choices(rows, k=len(rows))
    rng.shuffle(deliveries)
    found = stored(cut(deliveries, rng), rules)
    assert found.adds.keys() == {total for each in alone for total in each.adds}
    assert found.records.keys() == {key for each in alone for key in each.records}
    assert found.quarantine == {position: bad for each in alone for position, bad in each.quarantine.items()}
    singles = [stored([[kinesis(data)]], rules) for group in records for data in group]
    for total, amounts in found.adds.items():
        assert amounts in [each.adds[total] for each in singles if total in each.adds]
    newest: dict[tuple[str, str], Any] = {}
    for each in singles:
        for key, value in each.latest.items():
            newest[key] = max(newest.get(key, value), value, key=lambda pair: pair[0])
    assert found.latest == newest


@given(groups, rules, st.randoms(use_true_random=False))
def test_any_batching_of_a_stream_read_in_order_writes_the_same(
    records: list[list[bytes]], rules: Any, rng: random.Random
) -> None:
    """In order each record comes for the first time; redeliveries of earlier ones may come between."""
    rows = stream(records)
    datas = [data for group in records for data in group]
    one_by_one = stored([[kinesis(data, number)] for number, data in enumerate(datas)], rules)
    deliveries: list[KinesisRecord] = []
    for row in rows:
        deliveries += [row, *rng.choices([*deliveries, row], k=rng.randrange(3))]
    found = stored(cut(deliveries, rng), rules)
    assert (found.adds, found.records, found.latest) == (one_by_one.adds, one_by_one.records, one_by_one.latest)


@given(groups)
def test_every_user_record_is_counted_or_a_copy_or_quarantined(records: list[list[bytes]]) -> None:
    result = plan(stream(records), metered, systemic_share=1)
    counted = sum(len(identities) for identities in result.adds.values())
    assert result.events == sum(map(len, records)) == counted + result.duplicates + len(result.quarantined)


@given(groups, rules)
def test_sources_name_every_kinesis_record_with_something_for_the_item(records: list[list[bytes]], rules: Any) -> None:
    rows = stream(records)
    result = plan(rows, rules, systemic_share=1)
    alone = [stored([[row]], rules) for row in rows]
    for key, identities in result.adds.items():
        for identity, contribution in identities.items():
            assert contribution.sources == tuple(n for n, each in enumerate(alone) if (key, identity) in each.adds)
    for key, write in result.records.items():
        assert write.sources == tuple(n for n, each in enumerate(alone) if key in each.records)
    for key, write in result.latest.items():
        assert write.sources == tuple(n for n, each in enumerate(alone) if key in each.latest)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"n": 10**30}, Reason.BAD_NUMBER),
        ({"refuse": 1}, Reason.RULES_REFUSED),
        ({"bug": 1}, Reason.RULES_ERROR),
    ],
)
@pytest.mark.parametrize("good_first", [True, False])
def test_what_only_the_rules_refuse_is_set_aside_beside_a_good_event_of_its_identity(
    data: dict[str, int], reason: Reason, good_first: bool
) -> None:
    good, bad = encoded(id="a", data={"n": 1}), encoded(id="a", data=data)
    result = planned(*((good, bad) if good_first else (bad, good)))
    assert [(each.source, each.reason, each.payload) for each in result.quarantined] == [(int(good_first), reason, bad)]
    assert sum(map(len, result.adds.values())) == 1
    assert result.duplicates == 0


@pytest.mark.parametrize("other", [{"time": "2026-11-23T10:11:52Z"}, {"type": "another"}, {"subject": "another"}])
def test_the_same_identity_in_another_total_is_another_event(other: dict[str, str]) -> None:
    result = planned(encoded(id="a"), encoded(id="a", **other), encoded(id="a"), encoded(id="a", **other))
    assert len(result.adds) == 2
    for identities in result.adds.values():
        ((identity, contribution),) = identities.items()
        assert identity == digest("/tests", "a")
        assert contribution.sources in ((0, 2), (1, 3))
    assert result.duplicates == 2


def test_of_copies_that_differ_in_data_the_first_one_counts() -> None:
    datas = [encoded(id="a", data={"n": n}) for n in (5, 7, 5, 7, 6)]
    result = planned(*datas)
    ((contribution,),) = [identities.values() for identities in result.adds.values()]
    assert contribution.amounts == {"sum_n": 5}
    assert contribution.sources == (0, 1, 2, 3, 4)
    assert result.duplicates == 4


def test_copies_equal_to_the_byte_are_not_shown_to_the_rules_again() -> None:
    asked = []

    def asking(event: Event) -> Iterable[Effect]:
        asked.append(event.data.get("n"))
        return metered(event)

    planned(*(encoded(id="a", data={"n": n}) for n in (1, 1, 2, 1, 2, 2)), rules=asking)
    assert asked == [1, 2]


def test_a_copy_may_bring_a_newer_value_of_its_item() -> None:
    result = planned(*(encoded(id="a", data={"n": n}) for n in (5, 7, 6)), rules=everything)
    assert result.latest[("latest#customer-1", "newest")].version == 7
    assert result.records[(f"record#{digest('/tests', 'a')}", "event")].attributes == {"sum_n": 5}
    assert result.duplicates == 2


def test_copies_of_an_event_that_changes_nothing_are_copies() -> None:
    result = planned(encoded(id="a"), encoded(id="a"), encoded(id="a", data={"n": 1}), rules=lambda _: [])
    assert (result.events, result.duplicates) == (3, 2)


def test_an_identity_of_which_one_record_raises_has_raised_whatever_the_order() -> None:
    pairs = [(encoded(id=str(n), data={"bug": 1}), encoded(id=str(n))) for n in range(RAISED_MIN)]
    for order in (1, -1):
        datas = [data for pair in pairs for data in pair[::order]]
        records = [kinesis(data, number) for number, data in enumerate(datas)]
        found = plan(records, metered, systemic_share=0.5).systemic
        assert found is not None
        assert (found.raised, found.total) == (RAISED_MIN, RAISED_MIN)


def doubled(event: Event) -> Iterable[Effect]:
    """An event that adds to two totals, of which one is everybody's."""
    return [*metered(event), Add("all", "ever", {})]


@pytest.mark.parametrize(("rules", "events"), [(metered, 3), (doubled, 2)])
def test_events_applied_and_found_again_are_counted_as_events(rules: Any, events: int) -> None:
    """Where an event adds to several totals, only its identity tells that they are of one event."""
    table, cache = ToyTable(), PageCache()
    batch = planned(encoded(id="a"), encoded(id="a", time="2026-11-23T10:00:00Z"), encoded(id="b"), rules=rules)
    counts = []
    for _ in range(2):
        commit = Commit(batch, cache, deadline_s=3_600, jitter=float)
        drive(commit, table)
        counts.append((commit.applied, commit.duplicates))
    assert counts == [(events, 0), (0, events)]
