"""Hash keys, sequence numbers and shard ids."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.model import sequence

FIELDS = st.tuples(
    st.integers(0, 2**33), st.integers(0, 2**62), st.integers(0, 2**33), st.integers(0, sequence.SHARD_INDEX_MAX)
)


def test_a_hash_key_is_the_md5_of_the_partition_key_as_a_128_bit_number() -> None:
    """Fact 9.7."""
    assert sequence.hash_key("a") == int(hashlib.md5(b"a").hexdigest(), 16)
    assert sequence.hash_key("ü") == int(hashlib.md5("ü".encode()).hexdigest(), 16)


@given(FIELDS)
def test_a_sequence_number_has_56_digits_and_tells_what_it_was_made_of(fields: tuple[int, int, int, int]) -> None:
    number = sequence.encode(*fields)
    assert len(str(number)) == 56
    assert tuple(sequence.decode(number)) == fields


@given(FIELDS, st.integers(1, 1_000), st.integers(0, 2**33))
def test_within_a_shard_a_later_record_has_the_higher_number_whatever_the_clock_says(
    fields: tuple[int, int, int, int], later: int, arrived_s: int
) -> None:
    """Fact 9.8."""
    created_s, ordinal, _, shard = fields
    assert sequence.encode(created_s, ordinal + later, arrived_s, shard) > sequence.encode(*fields)


@given(FIELDS)
def test_the_ending_number_is_above_every_record_and_below_every_shard_created_later(
    fields: tuple[int, int, int, int],
) -> None:
    created_s, _, arrived_s, shard = fields
    ending = sequence.last_of_shard(created_s, arrived_s, shard)
    assert sequence.encode(*fields) < ending < sequence.encode(created_s + 1, 0, 0, 0)


@pytest.mark.parametrize("number", [0, 5, 2**184, 10**56, sequence.encode(1, 2, 3, 4) + 1])
def test_a_number_that_no_stream_gave_out_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="not a sequence number"):
        sequence.decode(number)


@given(st.integers(1, 300), st.integers(1, 9))
def test_equal_ranges_tile_and_those_of_a_multiple_only_refine_them(count: int, factor: int) -> None:
    boundaries = sequence.uniform_boundaries(count)
    assert boundaries[0] == 0
    sizes = [b - a for a, b in zip(boundaries, [*boundaries[1:], sequence.HASH_KEYS], strict=True)]
    assert max(sizes) - min(sizes) <= 1
    assert set(boundaries) <= set(sequence.uniform_boundaries(count * factor))


def test_shard_ids_are_read_as_leniently_as_aws_reads_them() -> None:
    assert sequence.shard_id(7) == "shardId-000000000007"
    assert [sequence.shard_index(text) for text in ("shardId-000000000007", "x-7", "7")] == [7, 7, 7]
    for wrong in ("", "shardId-", "shardId-x", "shardId-99999999999", "-"):
        with pytest.raises(ValueError, match="not a shard id"):
            sequence.shard_index(wrong)
