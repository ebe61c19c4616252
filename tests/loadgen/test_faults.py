"""What goes wrong during a load ends with a sentence, the documented status, and a report of what was measured."""

import errno
import json
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from infra.ops.errors import CommandError, explained
from infra.ops.outputs import Target, connect
from loadgen.backlog import Switch
from loadgen.observing.readback import Readback, Stack
from loadgen.offer.events import EventOptions, Generator
from loadgen.offer.truth import Truths
from loadgen.outcome.books import Books
from loadgen.outcome.ledger import Expectations, Findings
from loadgen.outcome.metrics import THROTTLED, Metrics
from loadgen.outcome.results import PutResult
from loadgen.run import Load, Options
from loadgen.sending.direct import DirectPutRecords
from loadgen.sending.load import Sending
from loadgen.sending.sender import Due
from loadgen.sending.sources import GeneratedSource
from loadgen.target.evidence import Capacity
from loadgen.target.limits import judge
from loadgen.target.observation import sent as observed_sent
from processor.core.packing import PackingSettings
from processor.core.resend import RetryPolicy
from tests.loadgen.test_run import COUNT, load, schedule
from tests.support.deployed import STACK, Deployed
from tests.support.kinesis_sink import KinesisSink

RULES = STACK.settings
EXPIRED = {"__type": "ExpiredTokenException", "message": "The security token included in the request is expired"}


def endless(rate: float = 1000.0) -> Iterator[Due]:
    generator, truths = Generator(EventOptions("r", 1, 1.7e9)), Truths(RULES)
    for number in range(100_000):
        event = generator.next(0.0)
        due_s = number / rate
        yield Due(due_s, event.partition_key, event.payload, truths.of_generated(event, int(due_s * 1e6)))


def full_device(path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    path.symlink_to("/dev/full")


def test_a_full_disk_ends_the_load_and_the_report_says_so(
    deployed: Deployed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full_device(tmp_path / "results.jsonl")
    status, document = load(deployed, tmp_path, endless(20_000))
    assert status == 1
    assert document["partial"]
    assert document["numbers"]["events_offered"] < 100_000
    taken = document["numbers"]["events_acknowledged"]
    assert document["problem"].startswith(
        f"{tmp_path}/results.jsonl is not complete: No space left on device; {taken} of {taken} events that the stream "
        "acknowledged are not in it"
    )
    assert document["problem"] in capsys.readouterr().err


def test_reports_that_cannot_be_written_are_told_after_the_account_on_the_terminal(
    deployed: Deployed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def full_meanwhile() -> Iterator[Due]:
        full_device(tmp_path / "report.json.part")
        yield from schedule()

    options = Options(["loadgen"], {}, tmp_path, PackingSettings(linger_s=0.0), [], 0.0, 0.0, COUNT)
    assert Load(deployed.connection, deployed.stack, options).run(full_meanwhile()) == 1
    said = capsys.readouterr()
    assert f"sent (distinct events acknowledged by the stream) {COUNT}" in " ".join(said.out.split())
    assert "the reports cannot be written: No space left on device" in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.jsonl"]


def test_a_stream_that_is_deleted_during_a_load_ends_it_with_what_was_sent(deployed: Deployed, tmp_path: Path) -> None:
    def deleted_half_way() -> Iterator[Due]:
        for number, due in enumerate(endless()):
            if number == 300:
                deployed.client("kinesis").delete_stream(StreamName="events")
            yield due

    status, document = load(deployed, tmp_path, deleted_half_way())
    assert status == 3
    assert document["partial"]
    assert document["problem"].startswith("the stream events takes nothing more: ResourceNotFoundException, ")
    numbers = document["numbers"]
    assert 0 < numbers["events_acknowledged"] <= 300
    assert numbers["events_offered"] < 10_000
    ledger = document["ledger"]
    assert (ledger["lost"], ledger["not_yet_found"]) == (0, numbers["events_acknowledged"])


def sending(sink: KinesisSink, folder: Path) -> tuple[Sending, Metrics]:
    metrics, expected = Metrics(110_000), Expectations(RULES.measures)
    connection = connect(Target(sink.endpoint_url, None, "stack"))
    packing = PackingSettings(aggregate=10, linger_s=0.01)
    return Sending(connection, "events", packing, metrics, expected, folder / "results.jsonl", 1), metrics


def source(rate: float, duration_s: float) -> GeneratedSource:
    return GeneratedSource(EventOptions("r", 1, 1.7e9), "constant", rate, duration_s, RULES)


def test_credentials_that_expire_during_a_load_end_it(tmp_path: Path) -> None:
    with KinesisSink(lambda call, _asked: (400, EXPIRED) if call > 5 else None) as sink:
        sent, metrics = sending(sink, tmp_path)
        sent.run(source(1000, 60.0), lambda *_: None)
    assert sent.refused is not None
    assert sent.refused.startswith("ExpiredTokenException")
    assert metrics.acknowledged > 0
    assert metrics.offered < 10_000


def test_a_mistake_in_a_call_ends_the_load_with_a_report_that_says_so(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mistaken(*_: object) -> None:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(DirectPutRecords, "__call__", mistaken)
    status, document = load(deployed, tmp_path, schedule())
    assert (status, document["partial"], document["passed"]) == (3, True, False)
    assert document["numbers"]["events_uncertain"] == document["failures"]["ZeroDivisionError"] > 0
    assert document["numbers"]["events_failed"] == document["numbers"]["events_offered"]
    assert "ZeroDivisionError: a mistake" in document["problem"]
    assert document["problem"] in capsys.readouterr().err


THROTTLED_ROW = {
    "ErrorCode": THROTTLED,
    "ErrorMessage": "Rate exceeded for shard shardId-000000000001 in stream events",
}


def all_throttled(_call: int, asked: int) -> tuple[int, dict[str, Any]]:
    return 200, {"FailedRecordCount": asked, "Records": [THROTTLED_ROW] * asked}


def test_a_stream_that_throttles_everything_ends_the_load_and_the_shard_is_named(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("loadgen.sending.load.RetryPolicy", partial(RetryPolicy, deadline_s=1.0))
    with KinesisSink(all_throttled) as sink:
        full = connect(Target(sink.endpoint_url, None, "stack"))
        deployed.connection._clients["kinesis", 1] = full.client("kinesis", attempts=1)
        status, document = load(deployed, tmp_path, schedule())
    numbers, limits = document["numbers"], document["limits"]
    assert (status, document["partial"], numbers["events_acknowledged"], numbers["events_failed"]) == (
        3,
        True,
        0,
        COUNT,
    )
    assert numbers["throttled_records"] == numbers["records_failed"] > 0
    assert numbers["throttled_attempts"] == numbers["attempts"] > numbers["records_failed"]
    assert limits["limited_by"] == "shard write quota"
    assert "throttled on shardId-000000000001 (100.0% of all attempts)" in limits["reason"]
    assert f"the stream events took nothing: {THROTTLED} ({COUNT} events)" in capsys.readouterr().err


def slow_at_first(call: int, _asked: int) -> None:
    if call <= 8:
        time.sleep(0.2)


def test_a_rate_that_no_target_takes_is_sent_late_whole_and_told_so(tmp_path: Path) -> None:
    with KinesisSink(slow_at_first) as sink:
        sent, metrics = sending(sink, tmp_path)
        sent.run(source(1_000_000, 0.02), lambda *_: None)
    assert metrics.acknowledged == metrics.offered == 20_000
    assert metrics.late > 1_000
    named = metrics.named()
    assert (named["late_max_ms"] or 0) > 110
    assert (named["latency_max_ms"] or 0) >= (named["late_max_ms"] or 0)
    judgement = judge(observed_sent(metrics), [], Capacity())
    assert "sender: late" in {judgement.limited_by, *(also.limit for also in judgement.also)}


def test_an_endpoint_that_dies_and_comes_back_costs_time_and_no_event(tmp_path: Path) -> None:
    some_calls = threading.Event()

    def after_some_calls(call: int, _asked: int) -> None:
        if call == 5:
            some_calls.set()

    with KinesisSink(after_some_calls) as sink:
        sent, metrics = sending(sink, tmp_path)

        def away() -> None:
            some_calls.wait(30)
            sink.down()
            time.sleep(0.5)
            sink.up()

        absence = threading.Thread(target=away)
        absence.start()
        sent.run(source(500, 1.0), lambda *_: None)
        absence.join()
    assert (metrics.acknowledged, metrics.failed) == (500, 0)
    assert metrics.errors.total() > 0
    assert metrics.latency.highest > 200_000


def test_tables_that_do_not_answer_for_a_moment_are_asked_again_while_draining(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    refresh = Readback.refresh

    def away_twice(self: Readback, findings: Findings, *, everything: bool = False) -> None:
        asked.append(1)
        if len(asked) <= 2:
            with explained("the target"):
                raise EndpointConnectionError(endpoint_url="nowhere")
        refresh(self, findings, everything=everything)

    monkeypatch.setattr(Readback, "refresh", away_twice)
    status, document = load(deployed, tmp_path, schedule(), drain_timeout_s=0.8)
    assert (status, document["partial"], document["ledger"]["lost"]) == (1, False, COUNT)
    assert len(asked) > 3


def test_lines_that_cannot_be_written_stop_the_load_and_are_not_tried_again() -> None:
    stops, tries = [], []

    def write(line: str) -> None:
        tries.append(line)
        raise OSError(errno.EFBIG, "File too large")

    books = Books(Metrics(0), Expectations(()), write, lambda: stops.append(1))
    for _ in range(3):
        books.settled(PutResult("k", (), 0, 1, 1, 1, 0, 0, "s", "1", (), None, False), ())
    assert (books.broken, len(stops), len(tries)) == ("File too large", 1, 1)
    assert books.metrics.records == 3


class Mapping:
    """Lambda's API of one event source mapping; remembers what it was told."""

    def __init__(self, state: str = "Enabled") -> None:
        self.state = state
        self.told: list[bool] = []

    def get_event_source_mapping(self, **_: object) -> dict[str, Any]:
        return {"State": self.state}

    def update_event_source_mapping(self, *, Enabled: bool, **_: object) -> None:  # noqa: N803 - Lambda's own name
        self.told.append(Enabled)
        self.state = "Enabled" if Enabled else "Disabled"


def with_mapping(deployed: Deployed, mapping: Mapping) -> Stack:
    deployed.connection._clients["lambda", None] = mapping
    return deployed.stack._replace(mapping_id="uuid")


def backlog(deployed: Deployed, out: Path, events: Iterator[Due], mapping: Mapping) -> tuple[int, dict[str, Any]]:
    stack = with_mapping(deployed, mapping)
    options = Options(["loadgen"], {}, out, PackingSettings(linger_s=0.0), [], 0.0, 0.0, COUNT, backlog=True)
    status = Load(deployed.connection, stack, options).run(events)
    return status, json.loads((out / "report.json").read_text())


def test_a_backlog_is_sent_while_the_mapping_is_disabled_and_drains_once_it_is_enabled(
    deployed: Deployed, tmp_path: Path
) -> None:
    mapping = Mapping()
    states = []

    def watched() -> Iterator[Due]:
        for due in schedule():
            states.append(mapping.state)
            yield due

    status, document = backlog(deployed, tmp_path, watched(), mapping)
    assert set(states) == {"Disabled"}
    assert mapping.told == [False, True]
    assert (status, document["ledger"]["lost"], document["numbers"]["drained_events"]) == (1, COUNT, None)


def test_however_a_backlog_ends_the_mapping_is_enabled_again(deployed: Deployed, tmp_path: Path) -> None:
    mapping = Mapping()
    status, document = backlog(deployed, tmp_path, schedule(interrupt_after=COUNT // 2), mapping)
    assert (status, document["partial"]) == (130, True)
    assert mapping.state == "Enabled"


def test_a_backlog_does_not_begin_with_a_mapping_that_is_not_enabled(deployed: Deployed, tmp_path: Path) -> None:
    mapping = Mapping("Disabled")
    status, document = backlog(deployed, tmp_path, schedule(), mapping)
    assert status == 3
    assert "a backlog starts from an enabled one" in document["problem"]
    assert (mapping.told, document["numbers"]["events_offered"]) == ([], 0)


def test_a_mapping_that_does_not_get_disabled_is_named(monkeypatch: pytest.MonkeyPatch, deployed: Deployed) -> None:
    monkeypatch.setattr("loadgen.backlog.CHANGED_WITHIN_S", 0.0)
    monkeypatch.setattr("loadgen.backlog.POLL_S", 0.0)

    class Stuck(Mapping):
        def get_event_source_mapping(self, **_: object) -> dict[str, Any]:
            return {"State": "Disabling" if self.told else "Enabled"}

    with_mapping(deployed, Stuck())
    with pytest.raises(CommandError, match="is Disabling and not Disabled"):
        Switch(deployed.connection, "uuid").off(lambda: False)
