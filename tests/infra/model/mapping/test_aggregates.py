"""KPL aggregates as fan-out takes them apart, and those it leaves alone (facts 3.9, 3.10)."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.model.mapping.aggregates import user_records
from infra.model.sequence import HASH_KEYS, hash_key
from infra.model.stream import StreamRecord
from processor.core.aggregate_format import AggregatedRecord
from tests.support.kpl_format import MAGIC, aggregate, body, field, sealed

ALL = (0, HASH_KEYS - 1)


def record(data: bytes, number: int = 7, key: str = "outer") -> StreamRecord:
    return StreamRecord(number, key, data, 1_789_808_000_123)


def test_user_records_have_their_own_key_and_data_and_the_number_and_arrival_of_their_aggregate() -> None:
    """Fact 3.9."""
    data = aggregate(("a", b"1"), ("b", b""), ("a", b"\x00\xff"))
    assert user_records([record(data), record(b"plain", 8)], ALL) == [
        record(b"1", key="a"),
        record(b"", key="b"),
        record(b"\x00\xff", key="a"),
        record(b"plain", 8),
    ]


def test_the_aggregate_that_was_recorded_on_aws_gives_the_records_that_were_recorded() -> None:
    """Fact 3.9, with the bytes of the recording."""
    data = base64.b64decode(
        "84mawgoJb3duZWQta2V5GisIABoneyJwaGFzZSI6ICJrcGxfY29uc3VtZXIiLCAib3JkaW5hbCI6IDF9GisIABoneyJwaGFzZSI6ICJrcGxfY29u"
        "c3VtZXIiLCAib3JkaW5hbCI6IDJ9GisIABoneyJwaGFzZSI6ICJrcGxfY29uc3VtZXIiLCAib3JkaW5hbCI6IDN9m/faJ2utULe6e6Iu3Ji56A=="
    )
    found = user_records([record(data)], ALL)
    assert [each.data for each in found] == [b'{"phase": "kpl_consumer", "ordinal": %d}' % n for n in (1, 2, 3)]
    assert {each.partition_key for each in found} == {"owned-key"}


DAMAGED = {
    "only the magic": MAGIC,
    "too short for a digest": MAGIC + b"123",
    "wrong digest": aggregate(("a", b"1"))[:-1] + b"\x00",
    "cut off": aggregate(("a", b"1"))[:-3],
    "a bit turned": aggregate(("a", b"11"))[:9] + b"?" + aggregate(("a", b"11"))[10:],
    "no protobuf": sealed(b"\xff\xff"),
    "a key that does not exist": sealed(field(1, b"a") + field(3, b"\x08\x01" + field(3, b"x"))),
    "a hash key that does not exist": sealed(field(1, b"a") + field(3, b"\x08\x00\x10\x00" + field(3, b"x"))),
    "a hash key that is no number": sealed(
        field(1, b"a") + field(2, b"x") + field(3, b"\x08\x00\x10\x00" + field(3, b"x"))
    ),
    "a key that is not UTF-8": sealed(field(1, b"\xff") + field(3, b"\x08\x00" + field(3, b"x"))),
    "a user record without data": sealed(field(1, b"a") + field(3, b"\x08\x00")),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_aggregate_is_delivered_as_it_is(data: bytes) -> None:
    """Fact 3.10; AWS was recorded with a wrong digest and with one that was cut off, the others follow them."""
    assert user_records([record(data)], ALL) == [record(data)]


LOWER = (0, HASH_KEYS // 2 - 1)


def test_an_aggregate_with_one_hash_outside_of_the_shard_is_rejected_whole() -> None:
    """Fact 3.10, as recorded: neither the records within the range nor the aggregate itself is delivered."""
    control, mixed = (
        aggregate(("k", b"control", 0)),
        aggregate(("k", b"in", 0), ("k", b"out", HASH_KEYS - 1), ("k", b"in", 0)),
    )
    found = user_records([record(control, 1), record(mixed, 2), record(b"sentinel", 3)], LOWER)
    assert [(each.sequence_number, each.data) for each in found] == [(1, b"control"), (3, b"sentinel")]
    assert len(user_records([record(mixed, 2)], ALL)) == 3


def test_without_an_explicit_hash_key_the_partition_keys_hash_counts() -> None:
    """Fact 3.10."""
    inside = next(key for key in map(str, range(100)) if hash_key(key) <= LOWER[1])
    outside = next(key for key in map(str, range(100)) if hash_key(key) > LOWER[1])
    assert len(user_records([record(aggregate((inside, b"")))], LOWER)) == 1
    assert user_records([record(aggregate((inside, b""), (outside, b"")))], LOWER) == []
    assert len(user_records([record(aggregate((inside, b""), (outside, b"", 5)))], LOWER)) == 2


def test_an_aggregate_without_user_records_is_nothing_and_one_inside_another_stays_closed() -> None:
    assert user_records([record(sealed(b""))], ALL) == []
    inner = aggregate(("a", b"1"))
    assert user_records([record(aggregate(("b", inner)))], ALL) == [record(inner, key="b")]


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=8), st.binary(max_size=40), st.none() | st.integers(0, HASH_KEYS - 1)),
        min_size=1,
        max_size=12,
    )
)
def test_any_user_records_come_out_as_they_went_in_also_for_the_kpls_own_messages(
    users: list[tuple[str, bytes, int | None]],
) -> None:
    message = body(users)
    assert AggregatedRecord.FromString(message).SerializeToString() == message  # the bytes are the library's
    found = user_records([record(sealed(message))], ALL)
    assert [(each.partition_key, each.data) for each in found] == [(key, data) for key, data, _ in users]


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_taken_apart_or_left_alone(data: bytes, well_sealed: bool) -> None:
    whole = sealed(data) if well_sealed else MAGIC + data
    for each in user_records([record(whole)], ALL):
        assert each.sequence_number == 7
