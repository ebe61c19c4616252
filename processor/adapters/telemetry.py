"""SHELL: what operators see. Structured logs (JSON) and metrics (EMF through the log), both with Powertools.

Nothing of a payload is ever logged: no event, no subject, no message of an exception that a rule or a parser raised.
Logged are the event source's ARN, sequence numbers, counts, codes and reasons. Traces are left to Lambda's own.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit, single_metric

AGES_MAX = 10
"""Event ages reported per batch: evenly spaced Kinesis records, the oldest among them. As many sequence numbers of
committed records stand in the same line: who knows when an event was sent can tell how long it took to its commit."""

Value = TypeVar("Value")


@dataclass(slots=True)
class BatchReport:
    """What became of one batch. Times in milliseconds; `quarantined` counts newly kept records by reason."""

    event_source_arn: str
    batch_size: int
    sequence_number: str
    events_in: int = 0
    applied: int = 0
    duplicates: int = 0
    quarantined: Mapping[str, int] = field(default_factory=Counter)
    records_failed: int = 0
    items_written: int = 0
    write_units: int = 0
    commit_latency_ms: float = 0.0
    effective_parallelism: int = 0
    event_ages_ms: Sequence[float] = ()
    committed: Sequence[str] = ()


class Telemetry:
    """Powertools' Logger and Metrics, told apart from everything that decides."""

    def __init__(self, service: str, namespace: str, level: str) -> None:
        self._service = service
        self._namespace = namespace
        self._logger = Logger(service=service, level=level)
        self._metrics = Metrics(service=service, namespace=namespace)

    def batch(self, report: BatchReport) -> None:
        """Write the metrics of one batch."""
        metrics, count = self._metrics, MetricUnit.Count
        for name, value in (
            ("EventsIn", report.events_in),
            ("EventsApplied", report.applied),
            ("EventsDuplicate", report.duplicates),
            ("EventsQuarantined", sum(report.quarantined.values())),
            ("RecordsFailed", report.records_failed),
            ("ItemsWritten", report.items_written),
            ("WriteUnits", report.write_units),
            ("BatchSize", report.batch_size),
            ("EffectiveParallelism", report.effective_parallelism),
        ):
            metrics.add_metric(name, count, value)
        metrics.add_metric("CommitLatency", MetricUnit.Milliseconds, report.commit_latency_ms)
        for age_ms in _spread(report.event_ages_ms, AGES_MAX):
            metrics.add_metric("EventAge", MetricUnit.Milliseconds, age_ms)
        metrics.add_metadata("Committed", list(_spread(report.committed, AGES_MAX)))
        metrics.flush_metrics()
        for reason, number in report.quarantined.items():
            with single_metric(
                "EventsQuarantined",
                unit=count,
                value=number,
                namespace=self._namespace,
                default_dimensions={"service": self._service},
            ) as metric:
                metric.add_dimension("reason", reason)

    def quarantined(self, report: BatchReport) -> None:
        """Say that records were set aside; the table has the rest."""
        self._logger.warning(
            "records set aside in quarantine: look them up by reason, fix the producer, replay",
            extra=_where(
                report,
                reasons=dict(report.quarantined),
            ),
        )

    def failed(self, report: BatchReport, codes: Iterable[str], problems: Mapping[str, str]) -> None:
        """Say that Kinesis records are reported to Lambda, from which on, and why."""
        self._logger.error(
            "records could not be committed and are reported for another delivery",
            extra=_where(
                report,
                records_failed=report.records_failed,
                codes=dict(Counter(codes)),
                problems={code: text for code, text in problems.items() if text},
            ),
        )

    def systemic(self, report: BatchReport, *, raised: int, total: int, share: float, traceback: str) -> None:
        """Say that the rules are broken; `traceback` is the plan's, without messages and source lines."""
        self._logger.error(
            "the rules raise on too many events: nothing is written, the batch is reported; roll the rules back",
            extra=_where(
                report,
                raised=raised,
                events=total,
                systemic_share=share,
                rules_traceback=traceback,
            ),
        )

    def fault(self, report: BatchReport, traceback: str) -> None:
        """Say that the processor itself raised; `traceback` is `rule_results.trace`'s, without messages."""
        self._logger.error(
            "fault of the processor: the batch fails as a whole",
            extra=_where(report, fault_traceback=traceback),
        )


def _where(report: BatchReport, **more: object) -> dict[str, object]:
    return {
        **more,
        "event_source_arn": report.event_source_arn,
        "sequence_number": report.sequence_number,
        "batch_size": report.batch_size,
    }


def _spread(values: Sequence[Value], count: int) -> Sequence[Value]:
    if len(values) <= count:
        return values
    return [values[index * (len(values) - 1) // (count - 1)] for index in range(count)]
