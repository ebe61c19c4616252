"""Any order, duplication, split into batches and lanes, faults and crashes: the same results as a plain model."""

from hypothesis import given, settings
from hypothesis import strategies as st

from processor.core.cache import PageCache
from processor.core.commit import Commit
from processor.core.statements import ReadPages, Statement
from tests.support.driving import WINDOW, Crash, Fault, adding, drive
from tests.support.toytable import ToyTable

KEYS = ("a", "b", "c")
EVENTS = range(150)

HAPPENS = st.sampled_from(
    [
        *[None] * 12,
        Fault("ThrottlingError"),
        Fault("InternalServerError", applied=True),
        Fault("Timeout", applied=False),
        "crash before",
        "crash after",
    ]
)


def key_of(event: int) -> str:
    """Most events are on one key."""
    return KEYS[0 if event % 4 else event % 3]


@st.composite
def deliveries(draw: st.DrawFn) -> list[tuple[int, list[int]]]:
    """(lane, events) in the order of delivery; every event at least once, runs of them again and again."""
    order = draw(st.permutations(range(0, len(EVENTS), 10)))
    starts = [*order, *draw(st.lists(st.sampled_from(order), max_size=15))]
    found = []
    for start in starts:
        length = draw(st.integers(10, 60))
        found.append((draw(st.integers(0, 2)), [event % len(EVENTS) for event in range(start, start + length)]))
    return found


@settings(max_examples=150, deadline=None)
@given(batches=deliveries(), data=st.data(), cache_size=st.sampled_from([0, 60, 100_000]), tells=st.booleans())
def test_results_are_those_of_a_plain_model_whatever_happens(
    batches: list[tuple[int, list[int]]], data: st.DataObject, cache_size: int, tells: bool
) -> None:
    table = ToyTable(tells=tells)
    lanes = [PageCache(cache_size) for _ in range(3)]
    happens = iter(data.draw(st.lists(HAPPENS, max_size=60)))

    def faults(statement: Statement | ReadPages) -> Fault | None:
        fault = next(happens, None)
        if isinstance(fault, str):
            if fault == "crash after" and not isinstance(statement, ReadPages):
                table.apply(statement)
            raise Crash
        return None if fault is not None and fault.applied and isinstance(statement, ReadPages) else fault

    queue = list(batches)
    for _ in range(400):
        if not queue:
            break
        lane, events = queue.pop(0)
        wanted: dict[str, list[int]] = {}
        for event in dict.fromkeys(events):
            wanted.setdefault(key_of(event), []).append(event)
        commit = Commit(adding(wanted), lanes[lane], deadline_s=30.0, jitter=lambda: 0.3)
        try:
            drive(commit, table, faults)
        except Crash:
            lanes[lane] = PageCache(cache_size)
            queue.append((lane, events))
        else:
            if commit.failed:
                queue.append((lane, [event for event in events if event >= min(commit.failed)] or events))
    assert not queue
    for key in KEYS:
        numbers = [event for event in EVENTS if key_of(event) == key]
        assert table.totals(key, WINDOW) == {"events": len(numbers), "sum_bytes": sum(numbers)}


@given(
    sizes=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 300)), min_size=1, max_size=60),
    bound=st.integers(0, 2_000),
)
def test_the_cache_never_holds_more_than_its_bound_and_keeps_the_most_recent(
    sizes: list[tuple[int, int]], bound: int
) -> None:
    cache = PageCache(bound)
    for key, size in sizes:
        chain = cache.chain((str(key), WINDOW))
        chain.sealed.update(f"{key}/{n}" for n in range(size))
        cache.keep((str(key), WINDOW), chain)
        assert len(cache) <= bound
        if len(chain) + 8 <= bound:
            assert cache.chain((str(key), WINDOW)) is chain
            cache.keep((str(key), WINDOW), chain)
