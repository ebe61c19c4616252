"""From one number of shards to another, in the steps that AWS allows."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from loadgen.sweep.resharding import shard_steps


@given(st.integers(1, 500), st.integers(1, 500))
def test_shards_are_at_most_doubled_and_at_least_halved_at_a_time(count: int, wanted: int) -> None:
    steps = [count, *shard_steps(count, wanted)]
    assert steps[-1] == wanted
    assert all((a + 1) // 2 <= b <= 2 * a for a, b in pairwise(steps))
    assert len(steps) <= 11
