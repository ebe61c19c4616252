"""A compact set of identities is a set."""

import random
from base64 import urlsafe_b64encode

from hypothesis import given
from hypothesis import strategies as st

from loadgen.offer.identities import RECENT_MAX, Identities, number_of, text_of
from processor.core.events import digest

NUMBERS = st.integers(0, 2**64 - 1)
TEXTS = st.builds(text_of, NUMBERS) | st.text(max_size=12) | st.sampled_from(["", "id-1", "+" * 10 + "A", "_" * 11])


@given(NUMBERS)
def test_a_digest_is_64_bits_in_both_directions(number: int) -> None:
    text = urlsafe_b64encode(number.to_bytes(8)).decode().rstrip("=")
    assert (text_of(number), number_of(text)) == (text, number)
    assert number_of(digest("source", str(number))) is not None


@given(st.lists(TEXTS), st.lists(TEXTS))
def test_it_holds_what_was_added_and_nothing_else(added: list[str], asked: list[str]) -> None:
    identities, plain = Identities(added), set(added)
    assert len(identities) == len(plain)
    assert set(identities) == plain
    assert [one in identities for one in asked] == [one in plain for one in asked]


def test_it_is_a_set_beyond_what_it_keeps_unsorted() -> None:
    draw = random.Random(3)
    texts = [text_of(draw.getrandbits(64)) for _ in range(20 * RECENT_MAX)]
    identities = Identities(texts)
    for text in texts[:: RECENT_MAX // 2]:
        identities.add(text)  # once more
    assert len(identities) == len(set(texts))
    assert all(text in identities for text in texts)
    assert sorted(identities) == sorted(set(texts))
    assert len(identities._arrays) < 8


@given(st.sets(TEXTS), st.sets(TEXTS))
def test_two_disjoint_sets_become_one(one: set[str], other: set[str]) -> None:
    identities = Identities(one)
    identities.absorb(Identities(other - one))
    assert set(identities) == one | other
    assert len(identities) == len(one | other)


@given(st.lists(st.sets(NUMBERS)), st.lists(NUMBERS), st.sets(NUMBERS))
def test_numbers_added_many_at_a_time_are_there_like_every_other(
    added: list[set[int]], asked: list[int], more: set[int]
) -> None:
    identities, plain = Identities(), set[int]()
    for numbers in added:
        new = numbers - plain
        identities.add_numbers(b"".join(number.to_bytes(8) for number in new))
        plain |= new
        assert len(identities) == len(plain)
        assert set(identities) == set(map(text_of, plain))
    assert [text_of(one) in identities for one in asked] == [one in plain for one in asked]
    assert [identities.add_new(text_of(one)) for one in more] == [one not in plain for one in more]
    assert len(identities) == len(plain | more)
