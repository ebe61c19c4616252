"""However a load ends, the reports are written and the exit status says what happened."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from loadgen.events import EventOptions, Generator
from loadgen.run import Load, Options
from loadgen.sender import Due
from loadgen.truth import Truths
from processor.core.packing import PackingSettings
from tests.support.deployed import STACK, Deployed

COUNT = 40


def schedule(*, interrupt_after: int | None = None) -> Iterator[Due]:
    generator, truths = Generator(EventOptions("r", 1, 1.7e9)), Truths(STACK.settings)
    for number in range(COUNT):
        if number == interrupt_after:
            signal.raise_signal(signal.SIGINT)
        event = generator.next(0.0)
        yield Due(0.0, event.partition_key, event.payload, truths.of_generated(event, 0))


def load(deployed: Deployed, out: Path, events: Iterator[Due]) -> tuple[int, dict[str, Any]]:
    options = Options(["loadgen"], {}, out, PackingSettings(linger_s=0.0), [], 0.0, 0.0, COUNT)
    status = Load(deployed.connection, deployed.stack, options).run(events)
    document: dict[str, Any] = json.loads((out / "report.json").read_text())
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    return status, document


def test_events_that_are_in_no_table_are_lost_and_the_load_fails(deployed: Deployed, tmp_path: Path) -> None:
    status, document = load(deployed, tmp_path, schedule())
    assert status == 1
    assert (document["ledger"]["sent"], document["ledger"]["lost"]) == (COUNT, COUNT)
    assert (document["partial"], document["problem"]) == (False, None)


def test_tables_that_cannot_be_read_leave_a_report_of_what_was_sent(
    deployed: Deployed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.client("dynamodb").delete_table(TableName="results")
    status, document = load(deployed, tmp_path, schedule())
    assert status == 3
    assert document["numbers"]["events_acknowledged"] == COUNT
    assert document["partial"]
    assert "ResourceNotFoundException" in document["problem"]
    assert document["problem"] in capsys.readouterr().err


def test_a_stream_that_refuses_the_first_events_is_not_asked_for_the_rest(deployed: Deployed, tmp_path: Path) -> None:
    deployed.client("kinesis").delete_stream(StreamName="events")
    generated = []

    def endless() -> Iterator[Due]:
        events = Generator(EventOptions("r", 1, 1.7e9))
        truths = Truths(STACK.settings)
        for number in range(1_000_000):
            generated.append(number)
            event = events.next(0.0)
            yield Due(number / 1000, event.partition_key, event.payload, truths.of_generated(event, number * 1000))

    status, document = load(deployed, tmp_path, endless())
    assert status == 3
    assert len(generated) < 100_000
    assert "took nothing: ResourceNotFoundException" in document["problem"]


def test_an_interrupted_load_writes_what_was_measured_and_restores_the_signal(
    deployed: Deployed, tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGINT)
    status, document = load(deployed, tmp_path, schedule(interrupt_after=COUNT // 2))
    assert status == 130
    assert (document["partial"], document["problem"]) == (True, "interrupted")
    assert signal.getsignal(signal.SIGINT) is before


def test_every_attempt_to_put_is_counted_because_the_client_repeats_none(deployed: Deployed, tmp_path: Path) -> None:
    calls = []

    def fail_once(**_: object) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise EndpointConnectionError(endpoint_url="nowhere")

    put = deployed.connection.client("kinesis", attempts=1)
    put.meta.events.register_first("before-send.kinesis.PutRecords", fail_once)
    _, document = load(deployed, tmp_path, schedule())
    assert len(calls) > 1
    assert document["errors"]["EndpointConnectionError"] >= 1
    assert document["numbers"]["events_acknowledged"] == COUNT
