"""What the function's answer says about its batch."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.model.mapping.response import INVALID, first_failed
from infra.model.stream import StreamRecord
from tests.support.mapping_world import FIRST

RECORDS = [StreamRecord(FIRST + place, "k", b"", 0) for place in range(4)]


def failing(*identifiers: Any) -> bytes:
    return json.dumps({"batchItemFailures": [{"itemIdentifier": each} for each in identifiers]}).encode()


@pytest.mark.parametrize(
    "payload",
    [
        *(b"null", b"{}", b"[]", b'{"batchItemFailures":[]}', b'{"batchItemFailures":null}', b'""', b""),
        *(b'{"other":1}', b'{"other":' + b"1" * 5_000 + b"}", b"\xef\xbb\xbf{}"),
    ],
)
def test_these_answers_are_complete_success(payload: bytes) -> None:
    """Fact 4.12; an empty body as in `empty_provided`."""
    assert first_failed(payload, RECORDS) == len(RECORDS)


@pytest.mark.parametrize(
    "payload",
    [
        failing(""),
        failing(None),
        failing("0"),
        failing(str(FIRST + 4)),
        failing(FIRST),
        failing("-1"),
        failing("٣"),
        failing("9" * 5000),
        b'{"batchItemFailures":[{"foo":123}]}',
        b'{"batchItemFailures":[{"foo":null}]}',
        b'{"batchItemFailures":["x"]}',
        b'{"batchItemFailures":"x"}',
    ],
)
def test_an_identifier_that_is_not_in_the_batch_fails_the_whole_batch(payload: bytes) -> None:
    """Fact 4.13."""
    assert first_failed(payload, RECORDS) == INVALID


@pytest.mark.parametrize(
    "payload", [b'"text"', b"[1]", b"0", b"17", b"false", b"true", b"{", b"\xff", b"[" * 100_000, "{}".encode("utf-16")]
)
def test_an_answer_that_is_no_object_fails_the_whole_batch(payload: bytes) -> None:
    """Fact 4.17."""
    assert first_failed(payload, RECORDS) == INVALID


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_an_answer_with_a_constant_that_json_does_not_have_fails_the_whole_batch(constant: str) -> None:
    """Fact 4.17."""
    assert first_failed(f'{{"batchItemFailures":[],"mean":{constant}}}'.encode(), RECORDS) == INVALID
    assert first_failed(constant.encode(), RECORDS) == INVALID


def test_the_lowest_identifier_wins_whatever_the_order() -> None:
    """Fact 4.14."""
    assert first_failed(failing(str(FIRST + 3), str(FIRST + 1), str(FIRST + 2)), RECORDS) == 1


def test_lowest_is_by_place_and_not_by_text() -> None:
    """Fact 4.15: as text "10" comes before "9"."""
    records = [StreamRecord(number, "k", b"", 0) for number in (8, 9, 10)]
    assert first_failed(failing("10", "9"), records) == 1


def test_records_that_share_a_sequence_number_mean_the_first() -> None:
    """Fact 4.15."""
    records = [StreamRecord(number, "k", b"", 0) for number in (8, 9, 9, 10)]
    assert first_failed(failing("9"), records) == 1


def test_one_bad_identifier_among_good_ones_fails_the_whole_batch() -> None:
    """Fact 4.16."""
    assert first_failed(failing(str(FIRST + 2), "nonsense"), RECORDS) == INVALID


@given(
    st.binary(max_size=40)
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_every_answer_means_something(payload: bytes) -> None:
    assert first_failed(payload, RECORDS) in (INVALID, len(RECORDS))
