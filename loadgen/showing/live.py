"""PURE: what a running load shows of itself: the numbers, the latest minute, one line for a plain log."""

from collections.abc import Sequence
from typing import NamedTuple

from loadgen.outcome.account import counted
from loadgen.outcome.histogram import Histogram
from loadgen.outcome.metrics import Turn
from loadgen.showing.moving import Moving
from loadgen.target.seen import Seen

KEPT = 60
TABLES = ("table_write_throttles", "table_read_throttles", "quarantine_throttles")


class Row(NamedTuple):
    """`now` of `what`; `latest`: by second, the newest last; `note`: more about it; `is_bad`: worth a look."""

    what: str
    now: str
    latest: Sequence[float] = ()
    note: str = ""
    is_bad: bool = False


class Live:
    """Takes in what sender, drain and watch know, and says it. `target` is read under the watch's lock."""

    def __init__(self, total_events: int | None, target: Seen | None = None) -> None:
        self.total_events = total_events
        self.target = target or Seen()
        self.turn = Turn()
        self.now_s = 0.0
        self.found: int | None = None
        self.expected = 0
        self._offered, self._accepted, self._refused = Moving(KEPT), Moving(KEPT), Moving(KEPT)
        self._latency: list[float] = []

    def sent(self, now_s: float, turn: Turn) -> None:
        """`now_s`: of the load."""
        passed = min(KEPT, max(0, int(now_s) - int(self.now_s)))
        self.now_s, self.turn = max(0.0, now_s), turn
        self._offered.add(self.now_s, turn.offered)
        self._accepted.add(self.now_s, turn.acknowledged)
        self._refused.add(self.now_s, turn.throttled)
        self._latency = [*self._latency, *[milliseconds(turn.latency, 0.99) or 0.0] * passed][-KEPT:]

    def drained(self, now_s: float, found: int, expected: int) -> None:
        """`now_s`: of the load. Nothing is offered any more."""
        self.sent(now_s, self.turn._replace(waiting=0, latency=None))
        self.found, self.expected = found, expected

    @property
    def phase(self) -> str:
        return "sending" if self.found is None else "processing"

    @property
    def progress(self) -> tuple[int, int | None, str]:
        """Done, of how many (None: not known), and of what."""
        if self.found is not None:
            return self.found, self.expected, "distinct events found in the tables"
        return self.turn.acknowledged, self.total_events, "events accepted by the stream"

    def rows(self) -> list[Row]:
        """From the stream's door to the tables."""
        return [*self._of_sender(), *self._of_target()]

    def _of_sender(self) -> list[Row]:
        turn = self.turn
        p50, p99 = milliseconds(turn.latency, 0.5), milliseconds(turn.latency, 0.99)
        latency = "-" if p50 is None or p99 is None else f"{p50:,.0f} / {p99:,.0f} ms"
        late = f"{turn.late:,} sent late ({turn.late / max(1, turn.offered):.1%})" if turn.late else ""
        waiting = f"{turn.waiting:,} waiting" if turn.waiting else ""
        offered = (f"{turn.offered:,} in all", late)
        accepted = (f"{turn.acknowledged:,} in all", waiting, f"{turn.failed:,} given up" if turn.failed else "")
        return [
            Row("offered", f"{self._offered.per_s:,.0f} /s", self._offered.seconds, joined(*offered), bool(turn.late)),
            Row(
                "accepted",
                f"{self._accepted.per_s:,.0f} /s",
                self._accepted.seconds,
                joined(*accepted),
                bool(turn.failed),
            ),
            Row("latency p50 / p99", latency, self._latency, "from due to accepted"),
        ]

    def _of_target(self) -> list[Row]:
        seen = self.target
        if seen.problem is not None:
            return [Row("target", "-", (), f"not seen: {seen.problem}", is_bad=True)]

        def latest(name: str) -> list[float]:
            return seen.seconds(name, KEPT)

        processed, has_log = latest("processed"), bool(seen.total("processed", "batches", "concurrency"))
        per_s = f"{sum(processed[-2:]) / max(1, len(processed[-2:])):,.0f} /s"
        return [
            Row(
                "processed",
                per_s if has_log else "-",
                processed,
                f"{seen.total('processed'):,.0f} in all, copies too" if has_log else "the log says nothing yet",
            ),
            Row("concurrency", _of(latest("concurrency")) if has_log else "-", latest("concurrency"), self._allowed()),
            Row("age at the commit", _age(seen.latest("event_age_ms")), latest("event_age_ms"), self._iterator_age()),
            self._throttles(),
            self._failures(),
        ]

    def _allowed(self) -> str:
        capacity = self.target.capacity
        lanes = counted(capacity.lanes, "lane") if capacity.lanes else ""
        return joined(lanes, f"{capacity.concurrency:,} executions allowed" if capacity.concurrency is not None else "")

    def _iterator_age(self) -> str:
        age = self.target.latest("iterator_age_ms")
        return "" if age is None else f"iterator age {_age(age)}"

    def _throttles(self) -> Row:
        counts = (
            ("Kinesis writes", float(self.turn.throttled)),
            ("reads", self.target.total("read_throttles")),
            ("Lambda", self.target.total("lambda_throttles")),
            ("tables", self.target.total(*TABLES)),
        )
        said = joined(*(f"{name} {count:,.0f}" for name, count in counts if count))
        per_s = f"{self._refused.per_s:,.0f} /s"
        return Row("throttles", per_s, self._refused.seconds, said or "none", any(count for _, count in counts))

    def _failures(self) -> Row:
        others = self.turn.failed_attempts - self.turn.throttled
        counts = (
            ("failed puts", float(others)),
            ("batch item failures", self.target.total("batch_item_failures")),
            ("function errors", self.target.total("function_errors")),
        )
        said = joined(*(f"{name} {count:,.0f}" for name, count in counts if count))
        cold = f"cold starts {self.target.total('cold_starts'):,.0f}"
        return Row("failures", f"{sum(count for _, count in counts):,.0f}", (), joined(said, cold), bool(said))

    def line(self) -> str:
        """All of it for a log, without what there is none of."""
        done, of, what = self.progress
        shown = [f"{done:,}{'' if of is None else f' of {of:,}'} {what}"]
        rows = {row.what: row for row in self.rows()}
        names = ("offered", "accepted", "processed") if self.found is None else ("processed",)
        shown += [f"{name} {rows[name].now}" for name in names if name in rows]
        if self.found is None:
            shown += [f"latency p50 / p99 {rows['latency p50 / p99'].now}"]
        shown += [f"{row.what} {row.now}" for row in rows.values() if row.what in ("concurrency", "age at the commit")]
        shown += [f"{self.turn.waiting:,} waiting"] if self.turn.waiting else []
        shown += [f"{self.turn.late:,} sent late"] if self.turn.late else []
        told = ("offered", *names)
        shown += [f"{row.what}: {row.note}" for row in rows.values() if row.is_bad and row.what not in told]
        return ", ".join(shown)


def joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def milliseconds(latency: Histogram | None, share: float) -> float | None:
    value_us = None if latency is None else latency.quantile_us(share)
    return None if value_us is None else value_us / 1000


def _of(values: Sequence[float]) -> str:
    return f"{values[-1]:,.1f} running" if values else "-"


def _age(age_ms: float | None) -> str:
    return "-" if age_ms is None else f"{age_ms / 1000:,.1f} s"
