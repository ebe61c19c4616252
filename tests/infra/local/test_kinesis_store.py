"""Streams on disk: what was acknowledged is there again after a restart, whatever ended the process."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.blueprint import ConsumerBlueprint, StreamBlueprint
from infra.local.http import Request
from infra.local.kinesis import KinesisService
from infra.local.kinesis_store import StoreError, StreamStore
from infra.model.sequence import HASH_KEYS
from infra.model.shard import Position
from infra.model.stream import Entry, Quotas, Stream, StreamError, Written
from infra.model.stream_account import StreamAccount

ACCOUNT = "000000000000"
ARN = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders"
FIRST = "shardId-000000000000"
T = 1_700_000_000.0
HOUR = 3_600
BOUNDLESS = Quotas(10**9, 10**12, 10**9, 10**12, 10**9)


class Clock:
    def __init__(self) -> None:
        self.now = T

    def __call__(self) -> float:
        return self.now


class Restartable:
    """A service and its folder. `restart` opens the folder again; nothing is said to the old one, as in a crash."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.clock = Clock()
        self.folder = folder
        self.options = {"transition_s": 0.0, "quotas": BOUNDLESS, **options}
        self.restart()

    def restart(self) -> None:
        self.service = KinesisService(ACCOUNT, "us-east-1", self.clock, data_dir=self.folder, **self.options)

    def call(self, operation: str, **members: Any) -> Any:
        headers = {"x-amz-target": f"Kinesis_20131202.{operation}", "content-type": "application/x-amz-json-1.1"}
        request = Request("POST", "/", {}, headers, json.dumps(members).encode())
        response = asyncio.run(self.service.handle(request))
        answer: Any = json.loads(response.body) if response.body else None
        if response.status != 200:
            raise StreamError(answer["__type"], answer["message"])
        return answer

    def put(self, *datas: bytes) -> list[str]:
        records = [{"PartitionKey": "k", "Data": base64.b64encode(data).decode()} for data in datas]
        return [r["SequenceNumber"] for r in self.call("PutRecords", StreamName="orders", Records=records)["Records"]]

    def everything(self) -> dict[str, list[tuple[int, str, bytes, int]]]:
        return {
            view.shard_id: [
                (r.sequence_number, r.partition_key, r.data, r.arrived_at_ms)
                for r in self.service.read(ARN, view.shard_id, Position(view.shard_id, 0), 10_000).records
            ]
            for view in self.service.shards(ARN)
        }

    def logs(self) -> list[Path]:
        return sorted((self.folder / "orders.stream").glob("*.log"))


@pytest.fixture
def stack(tmp_path: Path) -> Restartable:
    made = Restartable(tmp_path / "kinesis")
    made.call("CreateStream", StreamName="orders", ShardCount=2)
    return made


def test_every_acknowledged_record_is_there_again_with_its_number_and_arrival(stack: Restartable) -> None:
    for second in range(5):
        stack.clock.now = T + second / 3
        stack.put(b"", bytes(1000), b"\x00\xff" * second)
    before = stack.everything()
    assert sum(map(len, before.values())) == 15
    stack.restart()
    assert stack.everything() == before
    numbers = stack.put(b"more")
    assert int(numbers[0]) > max(number for records in before.values() for number, *_ in records)
    stack.restart()
    assert sum(map(len, stack.everything().values())) == 16


def test_an_iterator_and_a_position_outlive_a_restart(stack: Restartable) -> None:
    stack.put(b"a", b"b")
    shard_id = next(shard_id for shard_id, records in stack.everything().items() if records)
    iterator = stack.call("GetShardIterator", StreamName="orders", ShardId=shard_id, ShardIteratorType="LATEST")
    stack.restart()
    stack.put(b"c")
    got = stack.call("GetRecords", ShardIterator=iterator["ShardIterator"])["Records"]
    assert [base64.b64decode(record["Data"]) for record in got] == [b"c"]


def test_settings_shards_consumers_and_tags_are_there_again(stack: Restartable) -> None:
    stack.put(b"before")
    stack.call("SplitShard", StreamName="orders", ShardToSplit=FIRST, NewStartingHashKey="1000")
    stack.call(
        "MergeShards",
        StreamName="orders",
        ShardToMerge="shardId-000000000003",
        AdjacentShardToMerge="shardId-000000000001",
    )
    stack.call("IncreaseStreamRetentionPeriod", StreamName="orders", RetentionPeriodHours=48)
    stack.call("UpdateMaxRecordSize", StreamARN=ARN, MaxRecordSizeInKiB=2048)
    stack.call("StartStreamEncryption", StreamName="orders", EncryptionType="KMS", KeyId="alias/mine")
    stack.call("AddTagsToStream", StreamName="orders", Tags={"team": "a"})
    stack.call("RegisterStreamConsumer", StreamARN=ARN, ConsumerName="audit", Tags={"x": "y"})
    asked: list[tuple[str, dict[str, Any]]] = [
        ("DescribeStream", {"StreamName": "orders"}),
        ("DescribeStreamSummary", {"StreamName": "orders"}),
        ("ListShards", {"StreamName": "orders"}),
        ("ListStreamConsumers", {"StreamARN": ARN}),
        ("ListTagsForStream", {"StreamName": "orders"}),
    ]
    before = [stack.call(operation, **members) for operation, members in asked]
    stack.restart()
    assert [stack.call(operation, **members) for operation, members in asked] == before


def test_the_limits_per_day_outlive_a_restart(stack: Restartable) -> None:
    for number in range(10):
        stack.call(
            "UpdateShardCount", StreamName="orders", TargetShardCount=2 + number % 2, ScalingType="UNIFORM_SCALING"
        )
    stack.restart()
    with pytest.raises(StreamError, match="LimitExceeded"):
        stack.call("UpdateShardCount", StreamName="orders", TargetShardCount=3, ScalingType="UNIFORM_SCALING")


def test_a_change_under_way_is_carried_out_after_a_restart(tmp_path: Path) -> None:
    stack = Restartable(tmp_path, transition_s=5.0)
    stack.call("CreateStream", StreamName="orders", ShardCount=1)
    stack.clock.now += 5
    stack.call("UpdateShardCount", StreamName="orders", TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    stack.restart()
    assert (
        stack.call("DescribeStreamSummary", StreamName="orders")["StreamDescriptionSummary"]["StreamStatus"]
        == "UPDATING"
    )
    stack.clock.now += 5
    assert [view.closed for view in stack.service.shards(ARN)] == [True, False, False]
    before = stack.service.shards(ARN)
    stack.restart()
    assert stack.service.shards(ARN) == before


def test_a_deleted_stream_stays_deleted_and_leaves_nothing_behind(stack: Restartable) -> None:
    stack.put(b"old")
    stack.call("DeleteStream", StreamName="orders")
    stack.restart()
    assert stack.call("ListStreams")["StreamNames"] == []
    assert not (stack.folder / "orders.stream").exists()
    stack.call("CreateStream", StreamName="orders", ShardCount=1)
    stack.restart()
    assert stack.everything() == {FIRST: []}


def test_a_stream_deleted_and_made_again_has_nothing_of_the_old_one(stack: Restartable) -> None:
    stack.put(b"old")
    stack.call("DeleteStream", StreamName="orders")
    stack.call("CreateStream", StreamName="orders", ShardCount=1)
    stack.put(b"new")
    stack.restart()
    assert [record[2] for record in stack.everything()[FIRST]] == [b"new"]


@pytest.mark.parametrize("name", ["..", ".", "a.stream", "A-b_c.9"])
def test_any_legal_name_is_a_folder_below_the_data_directory(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "deep" / "kinesis"
    stack = Restartable(folder)
    stack.call("CreateStream", StreamName=name, ShardCount=1)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["kinesis"]
    stack.restart()
    assert stack.call("ListStreams")["StreamNames"] == [name]
    stack.call("DeleteStream", StreamName=name)
    stack.restart()
    assert stack.call("ListStreams")["StreamNames"] == []
    assert list(folder.iterdir()) == []


# ---- damage


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(cut=st.integers(1, 400), tail=st.sampled_from([b"", b"\0" * 30, b"garbage"]))
def test_what_a_crash_cut_off_is_removed_and_everything_before_it_is_there(
    stack: Restartable, cut: int, tail: bytes
) -> None:
    """The end of the log is cut at any byte: whole entries before it are kept, and the log goes on."""
    stack.put(b"kept")
    size = stack.logs()[-1].stat().st_size
    before = stack.everything()
    stack.put(bytes(120), bytes(120), bytes(120))
    log = stack.logs()[-1]
    added = log.stat().st_size - size
    with log.open("r+b") as file:
        file.truncate(size + min(cut, added - 1))
        file.seek(0, os.SEEK_END)
        file.write(tail)
    stack.restart()
    assert stack.everything() == before
    stack.put(b"on it goes")
    after = stack.everything()
    stack.restart()
    assert stack.everything() == after


def test_damage_in_the_middle_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    stack = Restartable(tmp_path / "kinesis")
    stack.call("CreateStream", StreamName="orders", ShardCount=1)
    _segments(stack, 300)
    for _ in range(3):
        stack.put(bytes(300))
    assert len(stack.logs()) > 2
    damaged = stack.logs()[1]
    raw = bytearray(damaged.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    damaged.write_bytes(raw)
    with pytest.raises(StoreError, match=damaged.name):
        stack.restart()


def test_a_folder_that_was_made_but_never_written_is_no_stream(tmp_path: Path) -> None:
    (tmp_path / "orders.stream").mkdir()
    (tmp_path / "orders.stream" / "0000000000000001.log").write_bytes(b"")
    stack = Restartable(tmp_path)
    assert stack.call("ListStreams")["StreamNames"] == []


class FullDisk:
    """Every write takes only a part, and fails then, until `room` is made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = True
        self.tries = 0
        real = os.writev

        def some_of_it(file: int, pieces: list[bytes]) -> int:
            self.tries += 1
            data = b"".join(pieces)
            return os.write(file, data[: len(data) // 2]) if self.full else real(file, pieces)

        def disk_full(file: int, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("infra.local.kinesis_store._writev", some_of_it)
        monkeypatch.setattr("infra.local.kinesis_store._write", disk_full)


def test_a_put_that_cannot_be_written_fails_and_is_in_the_stream_neither_now_nor_later(
    stack: Restartable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fact 9.5: InternalFailure is an answer for each record of PutRecords."""
    stack.put(b"a")
    whole = stack.logs()[-1].read_bytes()
    before, latest, counters = stack.everything(), stack.service.latest(ARN), stack.service.counters(ARN)
    disk = FullDisk(monkeypatch)
    records = [{"PartitionKey": key, "Data": "YQ=="} for key in "klmnop"]
    answer = stack.call("PutRecords", StreamName="orders", Records=records)
    assert answer["FailedRecordCount"] == 6
    assert [each["ErrorCode"] for each in answer["Records"]] == ["InternalFailure"] * 6
    assert not any("SequenceNumber" in each for each in answer["Records"])
    with pytest.raises(StreamError, match="InternalFailure"):
        stack.call("PutRecord", StreamName="orders", PartitionKey="k", Data="YQ==")
    assert stack.logs()[-1].read_bytes() == whole
    assert stack.everything() == before
    assert stack.service.latest(ARN) == latest
    for shard_id, now in stack.service.counters(ARN).items():
        assert (now.incoming_records, now.incoming_bytes) == (
            counters[shard_id].incoming_records,
            counters[shard_id].incoming_bytes,
        )
    disk.full = False
    numbers = stack.put(b"c")
    assert int(numbers[0]) > max(latest.values())
    before = stack.everything()
    stack.restart()
    assert stack.everything() == before
    assert sorted(record[2] for records in before.values() for record in records) == [b"a", b"c"]


def test_reading_goes_on_while_nothing_can_be_written_and_that_is_told_once(
    stack: Restartable, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A change that is not kept yet is tried again at a bounded pace, and told when it is."""
    stack.put(b"a")
    before = stack.everything()
    disk = FullDisk(monkeypatch)
    with pytest.raises(StreamError, match="InternalFailure"):
        stack.call("AddTagsToStream", StreamName="orders", Tags={"a": "b"})
    for _ in range(50):
        assert stack.everything() == before
        assert stack.call("ListTagsForStream", StreamName="orders")["Tags"] == [{"Key": "a", "Value": "b"}]
    assert disk.tries <= 3
    disk.full = False
    stack.call("AddTagsToStream", StreamName="orders", Tags={"c": "d"})
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert "No space left on device" in told[0]
    assert "can be written again" in told[1]
    stack.restart()
    assert len(stack.call("ListTagsForStream", StreamName="orders")["Tags"]) == 2


def test_a_put_is_answered_for_its_own_stream_whatever_becomes_of_others(
    stack: Restartable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_folder(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", no_folder)
        with pytest.raises(StreamError, match="InternalFailure"):
            stack.call("CreateStream", StreamName="a-first", ShardCount=1)
        stack.put(b"kept")
    before = stack.everything()
    stack.restart()
    assert stack.everything() == before
    assert sum(map(len, before.values())) == 1


# ---- bounds


def _segments(stack: Restartable, size: int) -> None:
    assert stack.service._keeper is not None
    store = stack.service._keeper.store
    store._segment_bytes = size
    for kept, _ in store._logs.values():
        kept._segment_bytes = size


def test_segments_that_left_retention_are_deleted(stack: Restartable) -> None:
    _segments(stack, 5_000)
    for hour in range(100):
        stack.clock.now = T + hour * HOUR
        stack.put(bytes(1_000))
    held = sum(path.stat().st_size for path in stack.logs())
    assert held < 24 * 1_200 + 2 * 10_000 + len(stack.logs()) * 3_000
    before = stack.everything()
    assert sum(map(len, before.values())) in (24, 25)
    stack.restart()
    assert stack.everything() == before


def test_numbers_never_come_again_although_all_records_are_gone(stack: Restartable) -> None:
    _segments(stack, 1)
    number = int(stack.put(b"x")[0])
    stack.clock.now += 30 * HOUR
    stack.call("AddTagsToStream", StreamName="orders", Tags={"a": "b"})
    assert len(stack.logs()) == 1
    latest = stack.service.latest(ARN)
    assert number in latest.values()
    stack.restart()
    assert stack.service.latest(ARN) == latest
    assert sum(map(len, stack.everything().values())) == 0
    assert int(stack.put(b"y")[0]) > number


def test_a_closed_shard_that_left_retention_does_not_come_back(stack: Restartable) -> None:
    stack.put(b"x")
    stack.call("SplitShard", StreamName="orders", ShardToSplit=FIRST, NewStartingHashKey="1000")
    stack.clock.now += 25 * HOUR
    assert len(stack.service.shards(ARN)) == 3
    stack.restart()
    assert len(stack.service.shards(ARN)) == 3
    with pytest.raises(StreamError):
        stack.service.start_position(ARN, FIRST, "TRIM_HORIZON")


# ---- against the model


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.integers(0, HASH_KEYS - 1), min_size=1, max_size=5)),
        st.tuples(st.just("pass"), st.integers(0, 40_000)),
        st.tuples(st.just("scale"), st.integers(1, 6)),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None)
@given(steps=STEPS, segment_bytes=st.sampled_from([1, 500, 5_000, 10**9]))
def test_a_stream_with_restarts_is_the_stream_without_them(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]], segment_bytes: int
) -> None:
    """The same history with and without a crash after any step: the same records, numbers and shards."""
    folder = tmp_path_factory.mktemp("store")
    now = T
    plain = StreamAccount(ACCOUNT, "us-east-1", quotas=BOUNDLESS, transition_s=1.0).create("orders", now, shard_count=1)
    account = StreamAccount(ACCOUNT, "us-east-1", quotas=BOUNDLESS, transition_s=1.0)
    kept: Stream = account.create("orders", now, shard_count=1)
    store = StreamStore(folder, segment_bytes=segment_bytes)
    store.save(account.known, now)
    for kind, value in steps:
        if kind == "pass":
            now += value
        elif kind == "put":
            entries = [Entry("k", b"x" * (key % 50), key) for key in value]
            outcomes = []
            for stream in (plain, kept):
                try:
                    outcomes.append(stream.put(entries, now))
                except StreamError as error:
                    outcomes.append([error.code])  # type: ignore[list-item]  # compared only
            assert outcomes[0] == outcomes[1]
            assert all(isinstance(each, Written | str) for each in outcomes[0])
        elif kind == "scale":
            errors = []
            for stream in (plain, kept):
                try:
                    stream.scale(value, now)
                except StreamError as error:
                    errors.append(error.code)
            assert len(errors) in (0, 2)
        store.save(account.known, now)
        if kind == "restart":
            store = StreamStore(folder, segment_bytes=segment_bytes)
            account = StreamAccount(ACCOUNT, "us-east-1", quotas=BOUNDLESS, transition_s=1.0)
            (saved,) = store.load()
            found = account.restore(saved.state, saved.records, now)
            assert found is not None
            kept = found
            store.save(account.known, now)
        assert _seen(kept, now) == _seen(plain, now)


def _seen(stream: Stream, now: float) -> list[Any]:
    return [
        (s.shard_id, s.parent_id, s.first_hash_key, s.closed_at_s, s.ending_sequence_number, s.starting_sequence_number,
         [(r.sequence_number, r.data) for r in stream.read(Position(s.shard_id, 0), 10_000, now).records])
        for s in stream.shards(now)
    ]  # fmt: skip


def test_an_on_demand_stream_keeps_its_size_and_its_peaks(tmp_path: Path) -> None:
    stack = Restartable(tmp_path, quotas=None)
    stack.call("CreateStream", StreamName="orders", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    for shard in stack.service._account.stream("orders", T).open_shards:
        shard.counters.incoming_bytes += 60 * 2**20  # a minute at the shard's whole quota
    stack.clock.now += 60
    assert len([view for view in stack.service.shards(ARN) if not view.closed]) == 8
    stack.restart()
    stack.clock.now += 20 * 86_400
    assert len([view for view in stack.service.shards(ARN) if not view.closed]) == 8


# ---- templates


def deploy(stack: Restartable, **changes: Any) -> None:
    described: dict[str, Any] = {
        "logical_id": "EventStream",
        "name": "orders",
        "arn": ARN,
        "mode": "PROVISIONED",
        "shard_count": 2,
        "retention_hours": 24,
        "encrypted": False,
        "record_size_kib_max": 1024,
    }
    stack.service.create_stream(StreamBlueprint(**{**described, **changes}))


def test_the_same_template_again_finds_its_stream_as_it_was_left(tmp_path: Path) -> None:
    stack = Restartable(tmp_path)
    deploy(stack)
    stack.put(b"x")
    stack.call("UpdateShardCount", StreamName="orders", TargetShardCount=4, ScalingType="UNIFORM_SCALING")
    before = stack.everything()
    stack.restart()
    deploy(stack)
    assert stack.everything() == before
    with pytest.raises(StreamError, match="already exists"):
        deploy(stack)


def test_a_changed_template_changes_its_stream_at_once(tmp_path: Path) -> None:
    stack = Restartable(tmp_path, transition_s=100.0)
    deploy(stack)
    number = stack.put(b"x")
    stack.restart()
    deploy(stack, shard_count=4, retention_hours=48, encrypted=True, record_size_kib_max=4096)
    described = stack.call("DescribeStreamSummary", StreamName="orders")["StreamDescriptionSummary"]
    assert (described["OpenShardCount"], described["RetentionPeriodHours"]) == (4, 48)
    assert (described["EncryptionType"], described["MaxRecordSizeInKiB"]) == ("KMS", 4096)
    assert [str(r[0]) for records in stack.everything().values() for r in records] == number
    stack.restart()
    with pytest.raises(StreamError, match="LimitExceeded"):
        deploy(stack, shard_count=9, retention_hours=48, encrypted=True, record_size_kib_max=4096)


# ---- a real crash


CHILD = textwrap.dedent(
    """
    import asyncio, base64, json, sys
    from pathlib import Path
    from infra.local.http import Request
    from infra.local.kinesis import KinesisService
    from infra.model.stream import Quotas

    service = KinesisService("000000000000", "us-east-1", transition_s=0.0, data_dir=Path(sys.argv[1]),
                             quotas=Quotas(10**9, 10**12, 10**9, 10**12, 10**9))
    def call(operation, **members):
        headers = {"x-amz-target": f"Kinesis_20131202.{operation}", "content-type": "application/x-amz-json-1.1"}
        response = asyncio.run(service.handle(Request("POST", "/", {}, headers, json.dumps(members).encode())))
        assert response.status == 200, response.body
        return json.loads(response.body) if response.body else None
    call("CreateStream", StreamName="orders", ShardCount=2)
    for n in range(10**6):
        records = [{"PartitionKey": f"{n}-{i}", "Data": base64.b64encode(b"x" * 100).decode()} for i in range(20)]
        for record in call("PutRecords", StreamName="orders", Records=records)["Records"]:
            print(record["ShardId"], record["SequenceNumber"])
        sys.stdout.flush()
    """
)


def test_after_kill_9_every_acknowledged_put_is_there_with_the_same_number(tmp_path: Path) -> None:
    folder = tmp_path / "kinesis"
    with subprocess.Popen([sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        acknowledged = [child.stdout.readline() for _ in range(2_000)]
        child.send_signal(signal.SIGKILL)
        acknowledged += child.stdout.readlines()
    if not acknowledged[-1].endswith("\n"):  # the pipe was cut in the middle of a line
        acknowledged.pop()
    again = KinesisService(ACCOUNT, "us-east-1", data_dir=folder, quotas=BOUNDLESS)
    found = set()
    for view in again.shards(ARN):
        position, ended = Position(view.shard_id, 0), False
        while not ended:
            result = again.read(ARN, view.shard_id, position, 10_000)
            found |= {f"{view.shard_id} {record.sequence_number}" for record in result.records}
            position, ended = result.position, not result.records
    assert len(acknowledged) >= 2_000
    assert {line.strip() for line in acknowledged} <= found


def test_a_templates_consumer_is_there_at_once_and_after_a_restart_the_same(tmp_path: Path) -> None:
    stack = Restartable(tmp_path, transition_s=100.0)
    deploy(stack)
    consumer = ConsumerBlueprint("Consumer", "quick", f"{ARN}/consumer/quick:1650000000", ARN)
    stack.service.create_consumer(consumer)
    for _ in range(2):
        [shown] = stack.call("ListStreamConsumers", StreamARN=ARN)["Consumers"]
        assert (shown["ConsumerARN"], shown["ConsumerStatus"]) == (consumer.arn, "ACTIVE")
        assert shown["ConsumerCreationTimestamp"] == 1_650_000_000
        stack.restart()
        deploy(stack)
        stack.service.create_consumer(consumer)
    with pytest.raises(StreamError, match="already exists"):
        stack.service.create_consumer(ConsumerBlueprint("Consumer", "quick", f"{ARN}/consumer/quick:1", ARN))
