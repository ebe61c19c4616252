"""Generated events: repeatable byte for byte, of the size asked for, and every malformed kind ends as it says."""

import hashlib
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.offer import malformed
from loadgen.offer.events import EventOptions, Generated, Generator, smallest_event_bytes
from loadgen.offer.malformed import KINDS, ROUNDS_WITHOUT_LARGE, Kind, kind_at
from processor import rules
from processor.core.events import parse
from processor.core.packing import Packer, PackingSettings
from processor.core.plan import Plan, plan
from processor.core.records import KinesisRecord
from processor.core.rule_api import RuleSettings

SETTINGS = RuleSettings(("bytes", "quantity"), 3600)
STARTED_S = 1_795_426_496.75


def options(**changes: Any) -> EventOptions:
    return EventOptions(**{"run_id": "run-1", "seed": 1, "started_s": STARTED_S, **changes})


def generated(count: int, **changes: Any) -> list[Generated]:
    generator = Generator(options(**changes))
    return [generator.next(i / 100) for i in range(count)]


def planned(*records: KinesisRecord) -> Plan:
    return plan(records, lambda event: rules.effects(event, SETTINGS), systemic_share=1.0)


@given(st.integers(0, 2**64), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 3))
def test_the_same_options_give_the_same_bytes(seed: int, duplicates: float, spoiled: float, skew: float) -> None:
    changes = {"seed": seed, "duplicates": duplicates, "malformed": spoiled, "skew": skew}
    one, other = generated(60, **changes), generated(60, **changes)
    assert [(event.partition_key, event.payload, event.kind) for event in one] == [
        (event.partition_key, event.payload, event.kind) for event in other
    ]


GOLDEN = {
    (): "bd98aa5e668ff4c6768257be0d37f0f12dbcd310aae6c5f1146fda57267fb3b3",
    (("duplicates", 0.1), ("malformed", 0.1), ("keys", 50), ("event_bytes", 700)):
        "7dd022dd67b6feac8dde301174c333fcd91a1a7780c5dd4e629c5223ef4f6690",
    (("skew", 0.0), ("keys", 7), ("malformed", 0.3)):
        "1cfa2fbc3b856dc4b8ec805f45cac2292e13dc7199649d7fcbfebd42261a6744",
}  # fmt: skip


@pytest.mark.parametrize("changes", GOLDEN, ids=str)
def test_a_seeds_events_are_the_same_in_every_version(changes: tuple[tuple[str, Any], ...]) -> None:
    generator = Generator(options(run_id="golden", seed=42, **dict(changes)))
    hashed = hashlib.sha256()
    for e in generator.many([i / 700 for i in range(3000)]):
        fields = (
            e.partition_key, e.payload, e.ordinal, e.source, e.id, e.key, e.time_s, e.bytes, e.quantity_milli, e.copy,
            e.kind and e.kind.name,
        )  # fmt: skip
        hashed.update(repr(fields).encode())
    assert hashed.hexdigest() == GOLDEN[changes]


@given(
    st.integers(0, 1000), st.lists(st.floats(0, 1e5), max_size=40).map(sorted), st.sampled_from([0.0, 0.3]),
    st.integers(0, 40),
)  # fmt: skip
def test_events_made_many_at_a_time_are_those_made_one_by_one_and_read_as_the_simple_definition_says(
    seed: int, due_s: list[float], share: float, more: int
) -> None:
    size = smallest_event_bytes("run-1") + more
    changes = {"seed": seed, "duplicates": share, "malformed": share, "keys": 20, "event_bytes": size}
    one, other = Generator(options(**changes)), Generator(options(**changes))
    events = one.many(due_s)
    assert events == [other.next(at_s) for at_s in due_s]
    for event, at_s in zip(events, due_s, strict=True):
        if event.kind is None and not event.copy:
            assert event.payload == simple(event, at_s, size)


def simple(event: Generated, at_s: float, size: int) -> bytes:
    millis = int((STARTED_S + at_s) * 1000)
    time = datetime.fromtimestamp(millis // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{millis % 1000:03d}Z"
    whole, thousandths = divmod(event.quantity_milli, 1000)
    text = (
        f'{{"specversion":"1.0","id":"{event.ordinal:010d}","source":"loadgen/run-1","type":"loadgen.metered",'
        f'"subject":"run-1/key-{event.key:06d}","time":"{time}",'
        f'"data":{{"bytes":{event.bytes:5d},"quantity":{whole:3d}.{thousandths:03d},"pad":"'
    )
    return f'{text}{"x" * (size - len(text) - 3)}"}}}}'.encode()


@pytest.mark.parametrize("change", [{"seed": 2}, {"run_id": "run-2"}])
def test_another_seed_or_run_gives_other_events(change: dict[str, Any]) -> None:
    assert {event.payload for event in generated(50)}.isdisjoint(event.payload for event in generated(50, **change))


@given(st.integers(0, 3000))
def test_every_fresh_event_has_exactly_the_size_asked_for(more: int) -> None:
    size = smallest_event_bytes("run-1") + more
    assert {len(event.payload) for event in generated(20, event_bytes=size)} == {size}


def test_every_event_says_of_itself_what_its_payload_says() -> None:
    for event in generated(500, keys=50):
        parsed = parse(event.payload)
        assert (parsed.source, parsed.id, parsed.subject) == (event.source, event.id, event.partition_key)
        assert parsed.time_s == event.time_s
        assert parsed.data["bytes"] == event.bytes
        assert parsed.data["quantity"] * 1000 == event.quantity_milli


def test_identities_are_distinct_but_for_copies_which_are_the_original_byte_for_byte() -> None:
    originals: dict[str, bytes] = {}
    copies = 0
    for event in generated(2000, duplicates=0.3):
        if event.copy:
            assert originals[event.id] == event.payload
            copies += 1
        else:
            assert event.id not in originals
            originals[event.id] = event.payload
    assert 500 < copies < 700


def test_shares_and_skew_are_what_was_asked_for() -> None:
    events = generated(10_000, duplicates=0.1, malformed=0.05, keys=10, skew=1.0)
    assert 900 < sum(event.copy for event in events) < 1100
    assert 420 < sum(event.kind is not None for event in events) < 580
    keys = Counter(event.key for event in events)
    assert 1.7 < keys[0] / keys[1] < 2.3  # Zipf: the second key has half the weight of the first


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_malformed_kind_ends_with_its_reason_and_its_neighbours_are_applied(kind: Kind) -> None:
    before, event, after = generated(3)
    spoiled = kind.spoil(event.partition_key, event.payload)
    records = [alone(before, 1), alone(after, 2)]
    if kind.whole:
        records.append(KinesisRecord("shardId-0", "9", event.partition_key, 0, spoiled))
    else:
        packer: Packer[int] = Packer(PackingSettings(lanes=1, record_bytes=1024 * 1024))
        for tag, (key, payload) in enumerate(
            [
                (before.partition_key, before.payload),
                (event.partition_key, spoiled),
                (after.partition_key, after.payload),
            ]
        ):
            assert packer.add(key, payload, tag, 0.0) == []
        (record,) = packer.flush()
        records = [KinesisRecord("shardId-0", "9", record.partition_key, 0, record.data)]
    result = planned(*records)
    (kept,) = result.quarantined
    assert kept.reason == kind.reason
    assert kept.subsequence_number == (None if kind.whole else 1)
    applied = {identity for window in result.adds.values() for identity in window}
    assert applied == {parse(before.payload).digest, parse(after.payload).digest}


def alone(event: Generated, number: int) -> KinesisRecord:
    return KinesisRecord("shardId-0", str(number), event.partition_key, 0, event.payload)


def test_every_kind_is_sent_in_turn_and_the_large_one_seldom() -> None:
    rounds = 2 * ROUNDS_WITHOUT_LARGE
    names = Counter(kind_at(number).name for number in range(rounds * len(KINDS)))
    assert names.keys() == {kind.name for kind in KINDS}
    assert names["too_large"] == 2
    assert min(names[kind.name] for kind in KINDS if kind.name != "too_large") == rounds


def test_the_names_of_the_kinds_are_distinct() -> None:
    assert len({kind.name for kind in malformed.KINDS}) == len(malformed.KINDS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"run_id": "a b"}, "run id"),
        ({"keys": 0}, "--keys"),
        ({"skew": -1}, "--skew"),
        ({"duplicates": 0.7, "malformed": 0.7}, "together at most 1"),
        ({"duplicates": float("nan")}, "shares"),
        ({"event_bytes": 10}, "--event-bytes"),
        ({"event_bytes": 10**7}, "--event-bytes"),
        ({"started_s": float("nan")}, "--event-time"),
        ({"started_s": 1.795e12}, "--event-time"),  # milliseconds by mistake
        ({"started_s": float("-inf")}, "--event-time"),
    ],
)
def test_options_that_make_no_events_are_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        options(**change)
