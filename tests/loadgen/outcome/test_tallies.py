"""Generated events are counted many at a time; what is then expected of the tables is what each of their truths says."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.offer.columns import Rows
from loadgen.offer.events import EventOptions, Generator
from loadgen.offer.metered import MeteredEvents
from loadgen.offer.truth import Known, Truth, Truths
from loadgen.outcome import tallies
from loadgen.outcome.ledger import Expectations
from processor.core.events import digest
from processor.core.rule_api import RuleSettings

MEASURES = ("bytes", "quantity")


def known(count: int, seed: int, measures: tuple[str, ...], *, spoiled: float = 0.1) -> list[Known]:
    """Over three windows of one second."""
    options = EventOptions("r", seed, 1_795_426_496.5, keys=3, duplicates=0.3, malformed=spoiled)
    moments = [i * 0.05 for i in range(count)]
    return Truths(RuleSettings(measures, 1)).of_many(Generator(options).many(moments), range(count))


def plain(truth: Known) -> Truth:
    return truth if isinstance(truth, Truth) else truth.truth()


def contents(expected: Expectations) -> object:
    windows = {
        key: (set(window.digests), window.sums, window.changed_sums, window.unknown, window.before)
        for key, window in expected.windows.items()
        if len(window.digests) or window.unknown
    }
    counts = (expected.identities, expected.distinct_events, expected.events_acknowledged, expected.events_failed)
    return windows, counts, expected.quarantine, len(expected.without_effect)


@given(
    st.integers(0, 1000),
    st.sampled_from([(), ("bytes",), MEASURES, ("other",)]),
    st.data(),
    st.booleans(),
)
def test_the_expectations_are_those_of_each_truth_whatever_is_acknowledged_failed_or_asked_for_in_between(
    seed: int, measures: tuple[str, ...], data: st.DataObject, was_there: bool
) -> None:
    truths = known(60, seed, measures)
    fast, slow = Expectations(measures), Expectations(measures)
    if was_there:
        one = next(plain(truth) for truth in truths if truth.reason is None)
        for expected in (fast, slow):
            expected.tell_before({(one.pk, one.window): frozenset({one.digest})})
    order = data.draw(st.permutations(range(0, 60, 5)))
    for number, first in enumerate(order):
        members = truths[first : first + 5]
        fate = data.draw(st.sampled_from(["acknowledged", "acknowledged", "failed", "uncertain"]))
        for expected, sent in ((fast, members), (slow, list(map(plain, members)))):
            if fate == "acknowledged":
                expected.acknowledged(sent, "shard", str(number))
            else:
                expected.failed(sent, uncertain=fate == "uncertain")
        if data.draw(st.booleans()):
            assert contents(fast) == contents(slow)
    assert contents(pickle.loads(pickle.dumps(fast))) == contents(slow)
    assert contents(fast) == contents(slow)


@pytest.mark.parametrize("step", [1, 7])
def test_a_copy_counts_once_with_its_original_whichever_is_acknowledged_first(step: int) -> None:
    truths = known(600, step, MEASURES, spoiled=0.0)
    expected = Expectations(MEASURES)
    for number, truth in enumerate(reversed(truths)):
        expected.acknowledged([truth], "shard", str(number))
    assert expected.identities == len({truth.digest for truth in truths}) < 600
    assert sum(len(set(window.digests)) for window in expected.windows.values()) == expected.identities


@pytest.mark.parametrize("kept_every", [1, 7, 10**9])
def test_identities_and_sums_of_many_events_are_exact(kept_every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "KEPT_EVERY", kept_every)
    monkeypatch.setattr(tallies, "KEPT_BYTES", 16)
    truths = [truth for truth in known(400, 5, MEASURES, spoiled=0.0) if not truth.copy]
    expected = Expectations(MEASURES)
    for first in range(0, len(truths), 3):
        expected.acknowledged(truths[first : first + 3], "shard", str(first))
    assert expected.identities == len(truths)
    for key, window in expected.windows.items():
        assert set(window.digests) == {truth.digest for truth in truths if (truth.pk, truth.window) == key}
        ours = [plain(truth).amounts for truth in truths if (truth.pk, truth.window) == key]
        assert window.sums == {name: sum(amounts[name] for amounts in ours) for name in ("sum_bytes", "sum_quantity")}


@given(
    st.integers(0, 99), st.lists(st.integers(0, 9), min_size=1, max_size=12), st.sampled_from([1, 10, 10**9]),
    st.booleans(), st.booleans(), st.sampled_from([(), ("bytes",), MEASURES]),
)  # fmt: skip
def test_rows_are_expected_as_each_of_their_truths_is(
    seed: int, sizes: list[int], kept_every: int, was_there: bool, uncertain: bool, measures: tuple[str, ...]
) -> None:
    """In pieces, over windows of one second, some of them given up, and with identities that were there before."""
    options = EventOptions("r", seed, 1_795_426_496.5, keys=3)
    block = MeteredEvents(options, 2, 5, Truths(RuleSettings(measures, 1))).block([i * 0.05 for i in range(sum(sizes))])
    rows = Rows(block.book, block.numbers)
    fast, slow = Expectations(measures), Expectations(measures)
    if was_there and len(rows):
        for expected in (fast, slow):
            expected.tell_before({(rows[0].pk, rows[0].window): frozenset({rows[0].digest})})
    first = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tallies, "KEPT_EVERY", kept_every)
        for number, size in enumerate(sizes):
            some = rows[first : first + size]
            assert [truth.due_us for truth in some] == some.due_us()
            for expected, truths in ((fast, some), (slow, [truth.truth() for truth in some])):
                if number % 4 == 3:
                    expected.failed(truths, uncertain=uncertain)
                else:
                    expected.acknowledged(truths, "shard", str(number))
            first += size
    assert contents(pickle.loads(pickle.dumps(fast))) == contents(slow)
    assert contents(fast) == contents(slow)


def test_an_identity_beyond_four_bytes_of_numbers_is_kept() -> None:
    block = MeteredEvents(EventOptions("r", 1, 1.7e9), 2**32 - 1, 1, Truths(RuleSettings(MEASURES, 1))).block([0.0] * 3)
    expected = Expectations(MEASURES)
    expected.acknowledged(Rows(block.book, block.numbers), "shard", "1")
    found = set().union(*(window.digests for window in expected.windows.values()))
    assert found == {digest("loadgen/r", f"{2**32 - 1 + i:010d}") for i in range(3)}
