"""PURE: the commit of one batch as a machine without I/O: it says what to send, is told what came back, and decides.

The shell's loop is all there is outside (`adapters.tables.perform`):

    while (step := commit.step(now_s)) is not None:
        Call      -> send the statements, `commit.answer(outcomes, now_s)`, one outcome per statement in order
        ReadPages -> query, `commit.read(items, complete)` or `commit.read_failed(code, now_s)`
        Wait      -> sleep `seconds`

Decisions, and why:

- A failed item does not stop the others: effects are idempotent and commute, so everything healthy is written even
  behind a failure, and the redelivery of it finds itself known. Only Kinesis records that fed an item that could not
  be written are reported.
- A call holds at most CALL_MAX statements, all of one table and no two on one item (AWS: BatchExecuteStatement).
  Chains with the most pages to go are sent first, so that their later pages ride in calls that are sent anyway.
- Throttled, busy or unanswered statements are repeated after an exponential wait with full jitter, ATTEMPTS_MAX times
  in a row; progress starts the count anew. A refused condition is no failure: it says what to do next.
- A lost answer leaves the statement's effect open. It is simply sent again: its own condition makes that harmless, and
  identities that then turn out to be in the page count as applied, because we are who wrote them but for a rare race
  with a redelivery elsewhere. The counts are for metrics; what is true is in the tables.
- ValidationError for a whole call does not say which statement is at fault: each is sent again alone.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from decimal import Inexact, Overflow
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from processor.core.cache import PageCache
from processor.core.chain import ChainFull, ForeignItem
from processor.core.commit_steps import CALL_MAX, Call, Counts, RetryPolicy, Step, Wait
from processor.core.pages import CONFLICTS_MAX, PageWriter
from processor.core.statements import (
    CONDITION_FAILED,
    DUPLICATE_ITEM,
    RETRIABLE,
    UNSURE,
    Insert,
    Item,
    Outcome,
    ReadPages,
    Statement,
    Table,
)
from processor.core.works import InsertOnce, KeepLatest, Work

if TYPE_CHECKING:
    from processor.core.plan import Plan

__all__ = ["CALL_MAX", "CONTENDED", "OUT_OF_TIME", "Call", "Commit", "Counts", "RetryPolicy", "Step", "Wait"]

OUT_OF_TIME = "OutOfTime"
CONTENDED = "Contended"
_DECIDES = frozenset({"", CONDITION_FAILED, DUPLICATE_ITEM})
_ALONE_CODES = frozenset({"ValidationError", "Validation"})


class _Task:
    """A work, with its failures in a row; `alone` where it may not share a call."""

    __slots__ = ("alone", "attempts", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.attempts = 0
        self.alone = False


class Commit:
    """One batch on its way into the tables.

    `keeps` are quarantined records as items; `deadline_s` is in the clock of `now_s`: no call is asked for after it,
    and a call that has been asked for may last as long as the shell's timeouts. `jitter` returns a random number in
    [0, 1). When `step` has returned None, `failed` maps the index of each Kinesis record that is not completely in the
    tables to the code of its (first) failure, and the cache holds what was learned.
    """

    def __init__(
        self,
        plan: "Plan",
        cache: PageCache,
        *,
        deadline_s: float,
        jitter: Callable[[], float],
        keeps: Sequence[InsertOnce] = (),
        retry: RetryPolicy | None = None,
    ) -> None:
        self.counts = Counts()
        self.failed: dict[int, str] = {}
        self.problems: dict[str, str] = {}
        self._cache = cache
        self._deadline_s = deadline_s
        self._jitter = jitter
        self._retry = retry or RetryPolicy()
        self._several_totals = plan.several_totals
        self._pages = [PageWriter(pk, sk, new, cache.chain((pk, sk))) for (pk, sk), new in plan.adds.items()]
        self._records = [
            InsertOnce(Insert(Table.RESULTS, pk, sk, write.attributes), write.sources)
            for (pk, sk), write in plan.records.items()
        ]
        self._latest: dict[tuple[str, str], KeepLatest] = {}
        self._ready: dict[Table, list[tuple[int, int, _Task, Statement]]] = {t: [] for t in Table}
        self._reads: deque[tuple[_Task, ReadPages]] = deque()
        self._waiting: list[tuple[float, int, _Task]] = []
        self._asked: list[tuple[_Task, Statement]] = []
        self._reading: _Task | None = None
        self._sequence = 0
        self._settled = False
        for key, write in plan.latest.items():
            try:
                self._latest[key] = KeepLatest(*key, write, cache.version(key))
            except ForeignItem as error:
                self._note(write.sources, error)
        works: list[Work] = [*keeps, *self._pages, *self._records, *self._latest.values()]
        for work in works:
            self._enqueue(_Task(work))

    def step(self, now_s: float) -> Step | None:
        """What to do next, or None when everything is written or has failed."""
        if now_s >= self._deadline_s:
            self._give_up()
        while self._waiting and self._waiting[0][0] <= now_s:
            self._enqueue(heappop(self._waiting)[2])
        if self._reads:
            self._reading, read = self._reads.popleft()
            self.counts.reads += 1
            return read
        for table, ready in self._ready.items():
            if ready:
                return self._call(table, ready)
        if self._waiting:
            return Wait(max(0.0, min(self._waiting[0][0], self._deadline_s) - now_s))
        self._settle()
        return None

    def answer(self, outcomes: Sequence[Outcome], now_s: float) -> None:
        """Take the outcomes of the last `Call`, in its order."""
        asked, self._asked = self._asked, []
        assert len(asked) == len(outcomes), f"{len(asked)} statements but {len(outcomes)} outcomes"
        counts = self.counts
        for (task, _), outcome in zip(asked, outcomes, strict=True):
            code = outcome.code
            if code in _DECIDES:
                counts.write_units += task.work.units()
                counts.items_written += not code
                task.attempts = 0
                self._decide(task, outcome)
            elif code in RETRIABLE:
                if code in UNSURE:
                    task.work.unsure()
                self._later(task, code, now_s)
            elif outcome.whole_call and code in _ALONE_CODES and len(asked) > 1:
                task.alone = True
                self._enqueue(task)
            else:
                self._fail(task, code)

    def read(self, items: Sequence[Item], *, complete: bool) -> None:
        """Take the items of the last `ReadPages`, in order; `complete` is False where there are more."""
        task = self._reading
        assert task is not None
        assert isinstance(task.work, PageWriter)
        task.attempts = 0
        try:
            task.work.read(items, complete=complete)
        except (ForeignItem, ChainFull) as error:
            self._fail(task, error)
        else:
            self._enqueue(task)

    def read_failed(self, code: str, now_s: float) -> None:
        """The last `ReadPages` could not be answered."""
        assert self._reading is not None
        if code in RETRIABLE:
            self._later(self._reading, code, now_s)
        else:
            self._fail(self._reading, code)

    @property
    def applied(self) -> int:
        """Events applied: identities added to a total; in a batch whose rules add nothing, records written."""
        if not self._pages:
            return sum(work.written for work in self._records)
        if not self._several_totals:
            return sum(len(writer.applied) for writer in self._pages)
        return len(self._applied())

    @property
    def duplicates(self) -> int:
        """Events found to be in the tables already; one that was new to any total counts as applied."""
        if not self._pages:
            return sum(work.done and not work.written for work in self._records)
        if not self._several_totals:
            return sum(len(writer.duplicates) for writer in self._pages)
        return len({identity for writer in self._pages for identity in writer.duplicates} - self._applied())

    def _applied(self) -> set[str]:
        return {identity for writer in self._pages for identity in writer.applied}

    def _enqueue(self, task: _Task) -> None:
        try:
            if task.work.conflicts > CONFLICTS_MAX:
                return self._fail(task, CONTENDED)
            ask = task.work.ask()
        except (ForeignItem, ChainFull, Inexact, Overflow) as error:
            return self._fail(task, error)
        if isinstance(ask, ReadPages):
            self._reads.append((task, ask))
        elif ask is not None:
            self._sequence += 1
            heappush(self._ready[ask.table], (-task.work.steps_left, self._sequence, task, ask))
        return None

    def _call(self, table: Table, ready: list[tuple[int, int, _Task, Statement]]) -> Call:
        """At most CALL_MAX of the most urgent; what would touch an item twice, or must go alone, waits for the next."""
        items: set[tuple[str, str]] = set()
        aside = []
        while ready and len(self._asked) < CALL_MAX:
            entry = heappop(ready)
            task, statement = entry[2], entry[3]
            key = (statement.pk, statement.sk)
            if key in items or (task.alone and self._asked):
                aside.append(entry)
                continue
            items.add(key)
            self._asked.append((task, statement))
            if task.alone:
                break
        for entry in aside:
            heappush(ready, entry)
        self.counts.calls += 1
        return Call(table, tuple(statement for _, statement in self._asked))

    def _decide(self, task: _Task, outcome: Outcome) -> None:
        try:
            task.work.answer(outcome)
        except (ForeignItem, ChainFull) as error:
            self._fail(task, error)
        else:
            self._enqueue(task)

    def _later(self, task: _Task, code: str, now_s: float) -> None:
        task.attempts += 1
        self.counts.retries += 1
        if task.attempts >= self._retry.attempts_max:
            self._fail(task, code)
        else:
            self._sequence += 1
            due_s = now_s + self._retry.wait_s(task.attempts, self._jitter())
            heappush(self._waiting, (due_s, self._sequence, task))

    def _fail(self, task: _Task, reason: str | Exception) -> None:
        self._note(task.work.sources(), reason)

    def _note(self, sources: Iterable[int], reason: str | Exception) -> None:
        code = reason if isinstance(reason, str) else type(reason).__name__
        self.problems.setdefault(code, "" if isinstance(reason, str) else str(reason))
        for source in sources:
            self.failed.setdefault(source, code)

    def _give_up(self) -> None:
        """Out of time: what is not written stays unwritten and is reported."""
        left = [entry[2] for ready in self._ready.values() for entry in ready]
        left += [task for task, _ in self._reads] + [task for _, _, task in self._waiting]
        for task in left:
            self._fail(task, OUT_OF_TIME)
        for ready in self._ready.values():
            ready.clear()
        self._reads.clear()
        self._waiting.clear()

    def _settle(self) -> None:
        """Give the cache what was learned."""
        if self._settled:
            return
        self._settled = True
        for writer in self._pages:
            self._cache.keep((writer.pk, writer.window), writer.chain)
        for key, work in self._latest.items():
            if work.known is not None and work.known.version is not None:
                self._cache.keep_version(key, work.known)
