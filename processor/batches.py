"""SHELL: what happens to one Kinesis batch: event -> plan -> commit -> the batch response. Wired up in stream.py.

Everything healthy is written even behind a record that fails: effects are idempotent, so the redelivery of the tail
finds them known and costs little, while stopping would make one throttled item hold up everything behind it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from processor.adapters.clients import CALL_MAX_S
from processor.adapters.quarantine import Quarantine
from processor.adapters.tables import Tables, perform
from processor.adapters.telemetry import BatchReport, Telemetry
from processor.core.cache import PageCache
from processor.core.commit import Commit
from processor.core.plan import Plan, RecentOutcomes, plan
from processor.core.records import KinesisRecord, from_lambda
from processor.core.rule_results import trace

if TYPE_CHECKING:
    # Powertools' types of the batch response. They are plain dictionaries at run time, and importing the package that
    # they live in makes init a tenth longer (docs/decisions/0005).
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse, PartialItemFailures

    from processor.core.effects import Effect
    from processor.core.events import Event

RESERVE_S = CALL_MAX_S + 1.0
"""No call is begun with less than this left before the deadline: one call without an answer, and a second to report."""


class EventError(Exception):
    """The event is not what an event source mapping of a Kinesis stream sends."""


class ProcessorFaultError(Exception):
    """Something in the processor raised; the log has the places. Carries no message of the original exception."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Time and chance, as the shell has them: a monotonic clock, wall time (epoch), sleep, random in [0, 1)."""

    monotonic_s: Callable[[], float]
    wall_s: Callable[[], float]
    sleep: Callable[[float], None]
    jitter: Callable[[], float]


@dataclass(slots=True)
class BatchProcessor:
    """One execution environment's processor. `handle` may be called again and again, never by two threads at once."""

    rules: "Callable[[Event], Iterable[Effect]]"
    tables: Tables
    quarantine: Quarantine
    telemetry: Telemetry
    clocks: Clocks
    systemic_share: float
    cache: PageCache = field(default_factory=PageCache)
    recent: RecentOutcomes | None = None

    def handle(self, event: object, remaining_ms: int) -> "PartialItemFailureResponse":
        """Process one batch; `remaining_ms` is what is left until Lambda's timeout.

        Returns the batch response: empty, or the one Kinesis record with the lowest sequence number among those that
        are not completely in the tables; Lambda delivers it and everything behind it again (AWS: Configuring partial
        batch response with Kinesis). Raises EventError for what is no Kinesis batch, ProcessorFaultError for a bug.
        """
        start_s = self.clocks.monotonic_s()
        stream_arn, records = read_event(event)
        if not records:
            return _response(None)
        report = BatchReport(stream_arn, len(records), records[0].sequence_number)
        report.effective_parallelism = len({record.partition_key for record in records})
        try:
            failed = self._process(records, report, start_s + remaining_ms / 1000 - RESERVE_S)
        except Exception as error:  # noqa: BLE001  # whatever it is, its message must not reach the log
            self.telemetry.fault(report, trace(error))
            raise ProcessorFaultError(f"{type(error).__name__} while processing a batch: see fault_traceback") from None
        now_ms = self.clocks.wall_s() * 1000
        undone = set(failed)
        report.committed = [record.sequence_number for n, record in enumerate(records) if n not in undone]
        report.event_ages_ms = [now_ms - record.arrived_at_ms for record in records]
        report.commit_latency_ms = (self.clocks.monotonic_s() - start_s) * 1000
        self.telemetry.batch(report)
        return _response(_lowest(records, failed))

    def _process(self, records: Sequence[KinesisRecord], report: BatchReport, deadline_s: float) -> Iterable[int]:
        """Do it all, fill in `report`, and return the indices of the records that are not done."""
        batch = plan(records, self.rules, systemic_share=self.systemic_share, recent=self.recent)
        self.recent = batch.recent
        report.events_in = batch.events
        if batch.systemic is not None:
            report.records_failed = len(records)
            systemic = batch.systemic
            self.telemetry.systemic(
                report,
                raised=systemic.raised,
                total=systemic.total,
                share=systemic.share,
                traceback=systemic.first_traceback,
            )
            return range(len(records))
        return self._commit(batch, records, report, deadline_s)

    def _commit(
        self, batch: Plan, records: Sequence[KinesisRecord], report: BatchReport, deadline_s: float
    ) -> Mapping[int, str]:
        clocks = self.clocks
        keeps, not_put = self.quarantine.works(
            batch.quarantined,
            records,
            stream_arn=report.event_source_arn,
            now_s=clocks.wall_s(),
            out_of_time=lambda: clocks.monotonic_s() >= deadline_s,
        )
        works = [work for _, work in keeps]
        commit = Commit(batch, self.cache, deadline_s=deadline_s, jitter=clocks.jitter, keeps=works)
        perform(commit, self.tables, clocks.monotonic_s, clocks.sleep)
        failed = {**commit.failed, **not_put}
        report.records_failed = len(failed)
        report.applied = commit.applied
        report.duplicates = batch.duplicates + commit.duplicates
        report.quarantined = Counter(str(bad.reason) for bad, work in keeps if work.written)
        report.items_written = commit.counts.items_written
        report.write_units = commit.counts.write_units
        if report.quarantined:
            self.telemetry.quarantined(report)
        if failed:
            report.sequence_number = str(_lowest(records, failed))
            self.telemetry.failed(report, failed.values(), commit.problems)
        return failed


def read_event(event: object) -> tuple[str, list[KinesisRecord]]:
    """Return the stream's ARN and the batch; raise EventError saying what is wrong and where."""
    if not isinstance(event, Mapping) or not isinstance(event.get("Records"), list):
        raise EventError(
            "not a Kinesis event: it has no list `Records`; this function is to be invoked by an event source mapping"
        )
    rows: list[Any] = event["Records"]
    records = []
    for index, row in enumerate(rows):
        try:
            record = from_lambda(row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EventError(f"Records[{index}] is no Kinesis record ({type(error).__name__})") from None
        if not (isinstance(record.sequence_number, str) and record.sequence_number.isdecimal()):
            raise EventError(f"Records[{index}].kinesis.sequenceNumber is no sequence number")
        records.append(record)
    arn = rows[0].get("eventSourceARN") if rows else ""
    if not isinstance(arn, str):
        raise EventError("Records[0].eventSourceARN is missing")
    return arn, records


def _lowest(records: Sequence[KinesisRecord], failed: Iterable[int]) -> str | None:
    """The lowest failed sequence number, as a number: the texts differ in length."""
    return min((records[index].sequence_number for index in failed), key=int, default=None)


def _response(sequence_number: str | None) -> "PartialItemFailureResponse":
    failures: list[PartialItemFailures] = [] if sequence_number is None else [{"itemIdentifier": sequence_number}]
    return {"batchItemFailures": failures}
