"""However a load ends, the reports are written and the exit status says what happened."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from infra.ops.errors import CommandError
from loadgen import cli
from loadgen.offer.events import EventOptions, Generator
from loadgen.offer.truth import Truths
from loadgen.outcome.results import decode_all
from loadgen.run import Load, Options
from loadgen.sending.sender import Due
from loadgen.showing.report import Unread
from processor.core.packing import PackingSettings
from tests.loadgen.showing.test_verdict import made
from tests.support.deployed import STACK, Deployed

COUNT = 40


def schedule(*, interrupt_after: int | None = None, by: signal.Signals = signal.SIGINT) -> Iterator[Due]:
    generator, truths = Generator(EventOptions("r", 1, 1.7e9, keys=100_000, skew=0.0)), Truths(STACK.settings)
    for number in range(COUNT):
        if number == interrupt_after:
            signal.raise_signal(by)
        event = generator.next(0.0)
        yield Due(0.0, event.partition_key, event.payload, truths.of_generated(event, 0))


def load(
    deployed: Deployed,
    out: Path,
    events: Iterator[Due],
    drain_timeout_s: float = 0.0,
    unread: Unread | None = None,
    configuration: Mapping[str, Any] | None = None,
) -> tuple[int, dict[str, Any]]:
    options = Options(
        ["loadgen"], configuration or {}, out, PackingSettings(linger_s=0.0), [], drain_timeout_s, 0.0, COUNT
    )
    status = Load(deployed.connection, deployed.stack, options, unread).run(events)
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
    def deleted_meanwhile() -> Iterator[Due]:
        yield from schedule()
        deployed.client("dynamodb").delete_table(TableName="results")

    status, document = load(deployed, tmp_path, deleted_meanwhile())
    assert status == 3
    assert document["numbers"]["events_acknowledged"] == COUNT
    assert document["partial"]
    assert "ResourceNotFoundException" in document["problem"]
    said = capsys.readouterr()
    assert document["problem"] in said.err
    assert [line.split()[-2:] for line in said.out.splitlines() if "in quarantine" in line] == [["not", "read"]]
    assert document["ledger"]["windows_not_read"] == document["ledger"]["windows"]
    unread = ("stored", "stored_before", "quarantined", "expired", "duplicates_applied")
    assert {document["numbers"][name] for name in unread} == {None}
    assert cli.main(["report", str(tmp_path)]) == 1


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


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_load_writes_what_was_measured_and_restores_the_signal(
    deployed: Deployed, tmp_path: Path, capsys: pytest.CaptureFixture[str], by: signal.Signals
) -> None:
    before = signal.getsignal(by)
    status, document = load(deployed, tmp_path, schedule(interrupt_after=COUNT // 2, by=by))
    assert status == 130
    assert (document["partial"], document["problem"]) == (True, "interrupted")
    assert signal.getsignal(by) is before
    assert "interrupted" in capsys.readouterr().out


def test_rates_are_over_the_whole_schedule_and_of_an_interrupted_one_until_then(
    deployed: Deployed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = schedule(interrupt_after=COUNT // 2)
    cut = (event._replace(due_s=0.0 if number < COUNT // 2 else 400.0) for number, event in enumerate(half))
    for name, events in (("whole", schedule()), ("cut", cut)):
        numbers = load(deployed, tmp_path / name, events, configuration={"duration": "500.0"})[1]["numbers"]
        lasted_s = 500.0 if name == "whole" else numbers["schedule_s"]
        assert numbers["schedule_s"] == lasted_s
        assert 0 < lasted_s < 60 or name == "whole"
        over_s = max(lasted_s, numbers["elapsed_s"])
        assert numbers["acknowledged_events_per_s"] == pytest.approx(numbers["events_acknowledged"] / over_s)
        assert cli.main(["report", str(tmp_path / name)]) == 1
        again = json.loads((tmp_path / name / "report.json").read_text())["numbers"]
        assert again == numbers
    capsys.readouterr()


def test_what_an_interrupted_load_did_not_wait_for_is_not_yet_found_and_not_lost(
    deployed: Deployed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reads = []

    def interrupt_once(**_: object) -> None:
        reads.append(1)
        if len(reads) == 1:
            signal.raise_signal(signal.SIGINT)

    deployed.client("dynamodb").meta.events.register_first("before-send.dynamodb.BatchGetItem", interrupt_once)
    status, document = load(deployed, tmp_path, schedule(), drain_timeout_s=3600)
    assert status == 130
    assert (document["ledger"]["lost"], document["ledger"]["not_yet_found"]) == (0, COUNT)
    shown = capsys.readouterr().out
    assert f"{COUNT} of {COUNT} events were not yet found" in shown
    assert "lost" not in shown
    assert "not yet found" in (tmp_path / "report.html").read_text()


@pytest.fixture
def _signals_as_before() -> Iterator[None]:
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    for number, handler in before:
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals_as_before")
def test_a_second_interrupt_ends_the_load_at_once_and_what_was_put_is_kept(
    deployed: Deployed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.json").write_text("of an earlier load")

    def interrupt_twice(**_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    deployed.client("dynamodb").meta.events.register_first("before-send.dynamodb.BatchGetItem", interrupt_twice)
    options = Options(["loadgen"], {}, tmp_path, PackingSettings(linger_s=0.0), [], 3600.0, 3600.0, COUNT)
    assert Load(deployed.connection, deployed.stack, options).run(schedule()) == 130
    lines = (tmp_path / "results.jsonl").read_text().splitlines(keepends=True)
    assert sum(len(result.due_us) for result in decode_all(lines)) == COUNT
    assert not (tmp_path / "report.json").exists()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert "stopped at once" in capsys.readouterr().err


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


def test_unreadable_lines_fail_the_load_and_are_named_wherever_its_verdict_is(
    deployed: Deployed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unread = Unread()

    def one_line_is_bad() -> Iterator[Due]:
        yield from schedule()
        unread.add(41, "not an event")

    status, document = load(deployed, tmp_path, one_line_is_bad(), unread=unread)
    said = "1 line of the file could not be read and was not sent (line 41: not an event)"
    assert status == 1
    assert said in document["verdict"]
    assert said in capsys.readouterr().out
    assert said in (tmp_path / "report.html").read_text()
    assert (document["numbers"]["lines_unreadable"], len(document["unreadable"])) == (1, 1)


def test_a_file_that_breaks_half_way_leaves_a_report_of_what_was_sent(deployed: Deployed, tmp_path: Path) -> None:
    unread = Unread()

    def breaks() -> Iterator[Due]:
        yield from schedule()
        unread.broken = "day.gz: unexpected end"

    status, document = load(deployed, tmp_path, breaks(), unread=unread)
    assert status == 2
    assert document["partial"]
    assert "day.gz: unexpected end" in document["verdict"]
    assert (document["numbers"]["events_acknowledged"], document["ledger"]["not_yet_found"]) == (COUNT, COUNT)


def test_a_load_as_fast_as_it_is_taken_shows_no_latency_and_its_report_made_again_neither(
    deployed: Deployed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = Options(["loadgen"], {}, tmp_path, PackingSettings(linger_s=0.0), [], 0.0, 0.0, COUNT, scheduled=False)
    Load(deployed.connection, deployed.stack, options).run(schedule())
    document = json.loads((tmp_path / "report.json").read_text())
    assert {document["numbers"][name] for name in ("late_share", "latency_p50_ms", "latency_p99_ms")} == {None}
    assert document["configuration"]["late_after_us"] is None
    assert capsys.readouterr().out.count("n/a") == 4
    assert cli.main(["report", str(tmp_path)]) == 1
    assert json.loads((tmp_path / "report.json").read_text()) == document


def test_a_second_load_of_the_same_events_says_what_was_there_before_and_passes(
    deployed: Deployed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, event in enumerate(schedule()):
        truth = event.truth
        item = {"pk": {"S": truth.pk}, "sk": {"S": truth.window}, "ids": {"SS": [truth.digest]}, "events": {"N": "1"}}
        item |= {name: {"N": str(amount)} for name, amount in truth.amounts.items()}
        if number < COUNT - 1:
            deployed.client("dynamodb").put_item(TableName="results", Item=item)
    options = Options(["loadgen"], {}, tmp_path, PackingSettings(linger_s=0.0), [], 0.0, 0.0, COUNT)

    def one_is_new() -> None:
        deployed.client("dynamodb").put_item(TableName="results", Item=item)

    def events() -> Iterator[Due]:
        yield from schedule()
        one_is_new()

    assert Load(deployed.connection, deployed.stack, options).run(events(), before=schedule()) == 0
    ledger = json.loads((tmp_path / "report.json").read_text())["ledger"]
    assert (ledger["stored"], ledger["stored_before"]) == (COUNT, COUNT - 1)
    shown = " ".join(capsys.readouterr().out.split())
    assert f"already there before this load {COUNT - 1} applied by this load 1" in shown
    assert f"({COUNT - 1} of them were there before this load)" in shown


def test_a_place_for_reports_that_cannot_be_written_is_a_usage_error_before_anything_is_sent(
    deployed: Deployed, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CommandError, match="--out") as raised:
            load(deployed, out, schedule())
        assert raised.value.exit_status == 2
    assert (tmp_path / "file").read_text() == "mine"
    stream = deployed.client("kinesis")
    shard = stream.list_shards(StreamName="events")["Shards"][0]["ShardId"]
    start = {"StreamName": "events", "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    assert stream.get_records(ShardIterator=stream.get_shard_iterator(**start)["ShardIterator"])["Records"] == []


def test_a_reader_of_the_summary_that_goes_away_changes_no_exit_status(tmp_path: Path) -> None:
    code = """
import json, sys
from loadgen.written import summarize
summarize(json.load(open(sys.argv[1])))
sys.exit(42)
"""
    (tmp_path / "report.json").write_text(json.dumps(made()))
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "report.json"],
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (42, b"")
