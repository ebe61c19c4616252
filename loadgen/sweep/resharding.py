"""PURE: changing a stream's shards as AWS allows it: in steps, and only so many times a day (AWS: UpdateShardCount)."""

from collections.abc import Sequence
from typing import NamedTuple

from loadgen.sweep.grid import GridError

UPDATES_PER_DAY_MAX = 10  # of one stream in 24 hours, whoever asks for them

# The places seen (bits) and the one it ends at -> the calls so far, and the places in their order.
Ways = dict[tuple[int, int], tuple[int, tuple[int, ...]]]


class TooOftenError(GridError):
    """More calls than a stream may have in 24 hours; the text says what needs fewer."""


class Tour(NamedTuple):
    """`order`: the shard counts as they are measured. `updates`: the calls for that, and for going back in the end."""

    order: tuple[int, ...]
    updates: int


def shard_steps(count: int, wanted: int) -> list[int]:
    """Shard counts to ask for one after the other: each at most the double and at least half of the one before.

    Raises ValueError below one shard: there is no way from or to none.
    """
    if count < 1 or wanted < 1:
        raise ValueError(f"no steps lead from {count} to {wanted} shards")
    steps = []
    while count != wanted:
        count = min(wanted, count * 2) if wanted > count else max(wanted, (count + 1) // 2)
        steps.append(count)
    return steps


def tour(own: int, counts: Sequence[int]) -> Tour:
    """Through all the counts, each once, and back to `own`, with the fewest calls; as they are given where that does.

    Raises TooOftenError when a day does not allow it.
    """
    if _at_least(own, counts) <= UPDATES_PER_DAY_MAX:
        shortest = _shortest(own, counts)
        if shortest.updates <= UPDATES_PER_DAY_MAX:
            return shortest
        needed = f"{shortest.updates}"
    else:
        needed = f"at least {_at_least(own, counts)}"
    raise TooOftenError(
        f"{_option(counts)} needs {needed} calls of UpdateShardCount from the stream's own {own} shards and back "
        f"(each at most doubles or halves them), and AWS allows {UPDATES_PER_DAY_MAX} in 24 hours: "
        f"{'; '.join(_instead(own, counts))}"
    )


def _option(counts: Sequence[int]) -> str:
    return f"--shards {','.join(map(str, counts))}"


def _at_least(own: int, counts: Sequence[int]) -> int:
    """One for every other count, and one to go back."""
    others = len(set(counts) - {own})
    return others + 1 if others else 0


def _instead(own: int, counts: Sequence[int]) -> list[str]:
    """What fits into a day."""
    said = []
    for length in range(len(counts) - 1, 0, -1):
        if (fits := _fitting(own, counts[:length])) is not None and fits.updates:
            said.append(f"{_option(counts[:length])} needs {fits.updates}")
            said.append("measure the others at least 24 hours later, or on another stack")
            break
    nearer = [(found.updates, count) for count in counts if (found := _fitting(count, counts)) is not None]
    if nearer:
        updates, count = min(nearer)
        said.append(f"a stack deployed with ShardCount={count} needs {updates or 'none'}")
    return said or ["leave some out, or take a stack whose own ShardCount is nearer to them"]


def _fitting(own: int, counts: Sequence[int]) -> Tour | None:
    if _at_least(own, counts) > UPDATES_PER_DAY_MAX:
        return None
    found = _shortest(own, counts)
    return found if found.updates <= UPDATES_PER_DAY_MAX else None


def _shortest(own: int, counts: Sequence[int]) -> Tour:
    """Held and Karp's: the best way to have seen some of them and to stand at one of those, some being ever more."""
    between = {(a, b): len(shard_steps(a, b)) for a in (own, *counts) for b in (own, *counts)}
    best: Ways = {(1 << place, place): (between[own, count], (place,)) for place, count in enumerate(counts)}
    for _ in counts[1:]:
        longer: Ways = {}
        for (seen, last), (updates, order) in best.items():
            for place, count in enumerate(counts):
                if not seen & 1 << place:
                    key = seen | 1 << place, place
                    way = updates + between[counts[last], count], (*order, place)
                    longer[key] = min(way, longer.get(key, way))
        best = longer
    updates, order = min((so_far + between[counts[last], own], way) for (_, last), (so_far, way) in best.items())
    return Tour(tuple(counts[place] for place in order), updates)
