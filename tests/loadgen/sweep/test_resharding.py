"""From one number of shards to another, in the steps that AWS allows, and as seldom as it allows them."""

from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.model.stream_state import SCALINGS_PER_DAY_MAX
from loadgen.sweep.resharding import UPDATES_PER_DAY_MAX, TooOftenError, Tour, shard_steps, tour

COUNTS = st.lists(st.integers(1, 40), min_size=1, max_size=5, unique=True)


def calls(own: int, order: tuple[int, ...]) -> int:
    return sum(len(shard_steps(a, b)) for a, b in pairwise((own, *order, own)))


@given(st.integers(1, 500), st.integers(1, 500))
def test_shards_are_at_most_doubled_and_at_least_halved_at_a_time(count: int, wanted: int) -> None:
    steps = [count, *shard_steps(count, wanted)]
    assert steps[-1] == wanted
    assert all((a + 1) // 2 <= b <= 2 * a for a, b in pairwise(steps))
    assert len(steps) <= 11


@pytest.mark.parametrize(("count", "wanted"), [(0, 2), (2, 0)])
def test_there_is_no_way_from_or_to_no_shards(count: int, wanted: int) -> None:
    """A stream whose shards are being changed says 0."""
    with pytest.raises(ValueError, match="no steps"):
        shard_steps(count, wanted)


def test_the_limit_is_the_one_that_the_local_stream_has() -> None:
    """Fact 9.11."""
    assert UPDATES_PER_DAY_MAX == SCALINGS_PER_DAY_MAX


@given(st.integers(1, 40), COUNTS)
def test_no_other_order_needs_fewer_calls_and_only_what_fits_a_day_is_begun(own: int, counts: list[int]) -> None:
    fewest = min(calls(own, order) for order in permutations(counts))
    try:
        found = tour(own, counts)
    except TooOftenError:
        assert fewest > UPDATES_PER_DAY_MAX
    else:
        assert sorted(found.order) == sorted(counts)
        assert found.updates == calls(own, found.order) == fewest <= UPDATES_PER_DAY_MAX


@pytest.mark.parametrize(
    ("own", "counts", "order", "updates"),
    [
        (2, [2], (2,), 0),
        (2, [1, 2, 4], (1, 2, 4), 4),
        (2, [4, 2, 1], (4, 2, 1), 4),
        (2, [1, 8, 2, 4], (1, 8, 4, 2), 6),  # as given it takes 8
        (1, [2, 3, 4, 6], (2, 3, 6, 4), 6),  # 4 on the way back: as given it takes 7
    ],
)
def test_the_order_that_was_given_is_kept_unless_another_needs_fewer_calls(
    own: int, counts: list[int], order: tuple[int, ...], updates: int
) -> None:
    assert tour(own, counts) == Tour(order, updates)


@pytest.mark.parametrize(
    ("own", "counts", "said"),
    [
        (2, [1, 4, 16, 64, 256], ("--shards 1,4,16,64,256 needs 16 calls", "2 shards", "--shards 1,4,16 needs 8")),
        (1, [100], ("--shards 100 needs 14 calls", "deployed with ShardCount=100 needs none")),
        (2, [1, 64], ("needs 12 calls", "--shards 1 needs 2", "at least 24 hours")),
        (2, list(range(1, 41)), ("at least 40 calls", "--shards 1,2,3,4", "at least 24 hours")),
    ],
)
def test_a_grid_that_a_day_does_not_allow_is_refused_with_what_would_fit(
    own: int, counts: list[int], said: tuple[str, ...]
) -> None:
    with pytest.raises(TooOftenError) as refused:
        tour(own, counts)
    for words in (*said, "AWS allows 10"):
        assert words in str(refused.value)
