"""What a data directory keeps of mappings: their checkpoints, and what the API made of them."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.local import mapping_store
from infra.local.mapping_store import MappingStore, StoreError
from infra.model.function import InvokeOutcome, Succeeded
from infra.model.stream import Stream
from tests.support.mapping_house import STREAM, House, new_stream, run

UUID = "11111111-2222-3333-4444-555555555555"


def kept(folder: Path, uuid: str = UUID) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{uuid}.json").read_text())
    return found


def crashed(house: House) -> None:
    """Nothing more is performed or written, as after a kill."""
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    for mapping in house.service.all():
        assert mapping.runner is not None
        mapping.runner.failure = RuntimeError("killed")


def again(house: House, folder: Path, **settings: Any) -> House:
    """Another run over the same stream and folder."""
    return House(stream=house.stream, data_dir=folder, **settings)


def test_after_a_stop_it_goes_on_after_the_last_record(tmp_path: Path) -> None:
    """Facts 2.24, 2.25: the checkpoint is the mapping's, the starting position is used once."""

    async def test() -> None:
        house = House(data_dir=tmp_path)
        house.put("a", "b")
        await house.service.start()
        await house.until(lambda: house.delivered == [["a", "b"]])
        await house.service.stop()
        house.put("c")
        later = again(house, tmp_path)
        await later.service.start()
        await later.until(lambda: later.delivered == [["c"]])
        await later.service.stop()
        assert later.delivered == [["c"]]

    run(test())


def test_a_full_disk_costs_no_batch_is_told_once_and_what_is_unsaved_is_written_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Facts 2.16, 3.5: until then a crash would cost redelivery, no more."""

    async def test() -> None:
        monkeypatch.setattr(mapping_store, "SAVE_INTERVAL_S", 0.01)
        tries, full, save = 0, True, MappingStore.save

        def limited(self: MappingStore, uuid: str, document: Mapping[str, Any]) -> None:
            nonlocal tries
            tries += 1
            if full:
                raise OSError(28, "No space left on device")
            save(self, uuid, document)

        monkeypatch.setattr(MappingStore, "save", limited)
        house = House(data_dir=tmp_path)
        await house.service.start()
        house.put("a", "b")
        await house.until(lambda: house.delivered == [["a", "b"]])
        await house.until(lambda: tries >= 5)  # nothing moves any more
        full = False
        await house.until(lambda: (tmp_path / f"{UUID}.json").exists())
        crashed(house)
        assert [record.levelname for record in caplog.records if record.name == "infra.mapping"] == ["ERROR", "WARNING"]
        later = again(house, tmp_path)
        await later.service.start()
        house.put("c")
        await later.until(lambda: later.delivered == [["c"]])
        await later.service.stop()

    run(test())


def test_after_a_crash_it_goes_on_at_a_checkpoint_that_is_a_second_old_at_most(tmp_path: Path) -> None:
    """Facts 2.16, 3.5: redelivered, never lost."""

    async def test() -> None:
        house = House(data_dir=tmp_path, batch_size=1)

        async def answer(request_id: str, _payload: bytes) -> InvokeOutcome:
            await asyncio.sleep(0.1)
            return Succeeded(request_id, b"null")

        house.functions.answer = answer
        house.put(*map(str, range(100)))
        await house.service.start()
        await house.until(lambda: len(house.delivered) == 50)
        crashed(house)
        later = again(house, tmp_path, batch_size=1)
        await later.service.start()
        await later.until(lambda: later.delivered[-1:] == [["99"]])
        await later.service.stop()
        first = int(later.delivered[0][0])
        assert 50 - 11 <= first <= 50
        assert later.delivered == [[str(number)] for number in range(first, 100)]

    run(test())


def test_checkpoints_are_written_at_a_bounded_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    replace = Path.replace

    def counted(path: Path, target: Path) -> Path:
        written.append(target)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", counted)

    async def test() -> None:
        house = House(data_dir=tmp_path, batch_size=1)
        await house.service.start()
        before = len(written)
        for number in range(100):
            house.put(str(number))
            await asyncio.sleep(0.1)
        assert 5 <= len(written) - before <= 11
        await asyncio.sleep(60)
        idle = len(written)
        await asyncio.sleep(60)
        assert len(written) == idle
        await house.service.stop()

    run(test())


def test_a_crash_while_writing_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        house = House(data_dir=tmp_path)
        await house.service.start()
        before = kept(tmp_path)
        monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
        house.put("a")
        await house.until(lambda: house.delivered == [["a"]])
        await house.service.stop()
        assert kept(tmp_path) == before

    run(test())


def test_what_the_api_created_is_there_again_with_its_checkpoint(tmp_path: Path) -> None:
    async def test() -> None:
        house = House(templates=False, data_dir=tmp_path)
        answer = await house.wire.call(
            "CreateEventSourceMapping",
            EventSourceArn=STREAM,
            FunctionName="work:live",
            StartingPosition="TRIM_HORIZON",
            BatchSize=7,
        )
        house.put("a")
        await house.until(lambda: house.delivered == [["a"]])
        await house.service.stop()
        later = again(house, tmp_path, templates=False)
        await later.service.start()
        later.put("b")
        await later.until(lambda: later.delivered == [["b"]])
        (described,) = (await later.wire.call("ListEventSourceMappings"))["EventSourceMappings"]
        assert (described["UUID"], described["BatchSize"], described["State"]) == (answer["UUID"], 7, "Enabled")
        await later.service.stop()

    run(test())


def test_what_the_api_deleted_is_not_there_again(tmp_path: Path) -> None:
    async def test() -> None:
        house = House(templates=False, data_dir=tmp_path)
        arguments = {"EventSourceArn": STREAM, "FunctionName": "work", "StartingPosition": "LATEST"}
        uuid = (await house.wire.call("CreateEventSourceMapping", **arguments))["UUID"]
        await asyncio.sleep(1)
        assert kept(tmp_path, uuid)
        await house.wire.call("DeleteEventSourceMapping", UUID=uuid)
        crashed(house)
        assert list(tmp_path.iterdir()) == []

    run(test())


def test_a_change_through_the_api_outlives_a_restart_until_the_template_changes(tmp_path: Path) -> None:
    """As CloudFormation leaves alone what a new template does not touch."""

    async def test() -> None:
        house = House(data_dir=tmp_path)
        house.put("a")
        await house.service.start()
        await house.until(lambda: house.delivered == [["a"]])
        await house.wire.call("UpdateEventSourceMapping", UUID=UUID, ParallelizationFactor=10, Enabled=False)
        await house.service.stop()
        same = again(house, tmp_path)
        await same.service.start()
        described = await same.wire.call("GetEventSourceMapping", UUID=UUID)
        assert (described["ParallelizationFactor"], described["State"]) == (10, "Disabled")
        await same.service.stop()
        changed = again(house, tmp_path, parallelization_factor=3)
        changed.put("b")
        await changed.service.start()
        described = await changed.wire.call("GetEventSourceMapping", UUID=UUID)
        assert (described["ParallelizationFactor"], described["State"]) == (3, "Enabled")
        await changed.until(lambda: changed.delivered == [["b"]])
        await changed.service.stop()

    run(test())


@pytest.mark.parametrize("position", ["LATEST", "TRIM_HORIZON"])
def test_a_template_that_changes_the_starting_position_makes_another_mapping(tmp_path: Path, position: str) -> None:
    """Fact 2.25: a new mapping does not know the old one's checkpoint."""

    async def test() -> None:
        before = {"LATEST": "TRIM_HORIZON", "TRIM_HORIZON": "LATEST"}[position]
        house = House(data_dir=tmp_path, starting_position=before)
        house.put("a")
        await asyncio.sleep(1)
        await house.service.start()
        await asyncio.sleep(2)
        await house.service.stop()
        later = again(house, tmp_path, starting_position=position)
        await later.service.start()
        await asyncio.sleep(2)
        assert later.delivered == ([["a"]] if position == "TRIM_HORIZON" else [])
        await later.service.stop()

    run(test())


def test_a_mapping_at_latest_misses_nothing_that_is_put_while_the_stack_is_down(tmp_path: Path) -> None:
    """Fact 2.24: LATEST is used once, also by a mapping that no record has reached yet."""

    async def test() -> None:
        house = House(data_dir=tmp_path, starting_position="LATEST")
        house.put("a")
        await asyncio.sleep(1)
        await house.service.start()
        await asyncio.sleep(3)
        crashed(house)
        house.put("b")
        later = again(house, tmp_path, starting_position="LATEST")
        await later.service.start()
        await later.until(lambda: later.delivered == [["b"]])
        await later.service.stop()

    run(test())


def test_a_stream_that_is_another_one_by_now_is_read_from_its_beginning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its shards have the names of the old one's; those that were completed must not be skipped."""

    async def test() -> None:
        house = House(data_dir=tmp_path)
        house.put("a")
        house.streams.change(lambda now: house.stream.scale(2, now))
        await house.service.start()
        await asyncio.sleep(30)
        await house.service.stop()
        assert kept(tmp_path)["snapshot"]["machine"]["completed"] == ["shardId-000000000000"]
        later = House(data_dir=tmp_path, stream=new_stream(house.clock()))
        later.put("b")
        await later.service.start()
        await later.until(lambda: later.delivered == [["b"]])
        await later.service.stop()

    run(test())
    assert "begins anew" in caplog.text


def test_a_kept_mapping_whose_function_is_gone_says_so_harms_nobody_and_goes_on_when_it_is_there_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        house = House(templates=False, data_dir=tmp_path)
        arguments = {"EventSourceArn": STREAM, "FunctionName": "work", "StartingPosition": "TRIM_HORIZON"}
        uuid = (await house.wire.call("CreateEventSourceMapping", **arguments))["UUID"]
        await house.service.stop()
        document = kept(tmp_path, uuid)
        document["function_arn"] = document["function_arn"].replace("work", "missing")
        (tmp_path / f"{uuid}.json").write_text(json.dumps(document))
        later = again(house, tmp_path)
        later.put("a")
        await later.service.start()
        await later.until(lambda: later.delivered == [["a"]])
        await asyncio.sleep(20)
        described = await later.wire.call("GetEventSourceMapping", UUID=uuid)
        assert described["State"] == "Enabled"
        assert described["LastProcessingResult"] == "PROBLEM: Function does not exist"
        later.functions.missing.clear()
        await later.until(lambda: later.delivered == [["a"], ["a"]])
        described = await later.wire.call("GetEventSourceMapping", UUID=uuid)
        assert described["LastProcessingResult"] == "OK"
        await later.service.stop()

    run(test())
    assert "waits for its function: Function does not exist" in caplog.text


def test_a_kept_mapping_whose_stream_is_gone_says_so_and_goes_on_when_it_is_there_again(tmp_path: Path) -> None:
    async def test() -> None:
        house = House(templates=False, data_dir=tmp_path)
        arguments = {"EventSourceArn": STREAM, "FunctionName": "work", "StartingPosition": "TRIM_HORIZON"}
        uuid = (await house.wire.call("CreateEventSourceMapping", **arguments))["UUID"]
        house.put("a")
        await house.until(lambda: house.delivered == [["a"]])
        await house.service.stop()
        another = Stream("another", account_id="000000000000", region="us-east-1", shard_count=1, now=house.clock())
        later = House(templates=False, data_dir=tmp_path, stream=another)
        await later.service.start()
        await asyncio.sleep(20)
        described = await later.wire.call("GetEventSourceMapping", UUID=uuid)
        assert described["State"] == "Enabled"
        assert described["LastProcessingResult"].startswith("PROBLEM: ")
        later.streams.stream = house.stream
        later.put("b")
        await later.until(lambda: later.delivered == [["b"]])
        await later.wire.call("DeleteEventSourceMapping", UUID=uuid)
        await later.until(lambda: not later.service.all())
        await later.service.stop()

    run(test())


def test_a_kept_mapping_whose_pair_the_template_has_by_now_does_not_run_and_can_be_deleted(tmp_path: Path) -> None:
    async def test() -> None:
        house = House(templates=False, data_dir=tmp_path)
        arguments = {"EventSourceArn": STREAM, "FunctionName": "work", "StartingPosition": "TRIM_HORIZON"}
        uuid = (await house.wire.call("CreateEventSourceMapping", **arguments))["UUID"]
        await house.service.stop()
        later = again(house, tmp_path)
        later.put("a")
        await later.service.start()
        await later.until(lambda: later.delivered == [["a"]])
        described = await later.wire.call("GetEventSourceMapping", UUID=uuid)
        assert described["State"] == "Disabled"
        assert described["LastProcessingResult"].startswith("PROBLEM: ")
        assert UUID in described["LastProcessingResult"]
        await later.wire.call("DeleteEventSourceMapping", UUID=uuid)
        assert [each.uuid for each in later.service.all()] == [UUID]
        await later.service.stop()
        assert later.delivered == [["a"]]

    run(test())


def test_a_mapping_that_the_template_does_not_have_any_more_is_forgotten(tmp_path: Path) -> None:
    async def test() -> None:
        house = House(data_dir=tmp_path)
        await house.service.start()
        await house.service.stop()
        later = again(house, tmp_path, uuid="22222222-2222-3333-4444-555555555555")
        await later.service.start()
        await later.service.stop()
        assert [path.stem for path in tmp_path.glob("*.json")] == ["22222222-2222-3333-4444-555555555555"]

    run(test())


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99}'])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    async def test() -> None:
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(StoreError, match=r"x\.json"):
            House(data_dir=tmp_path)

    run(test())


def test_tags_stay_when_the_template_changes(tmp_path: Path) -> None:
    async def test() -> None:
        house = House(data_dir=tmp_path)
        await house.service.start()
        arn = f"arn:aws:lambda:us-east-1:000000000000:event-source-mapping:{UUID}"
        await house.wire.call("TagResource", Resource=arn, Tags={"team": "shop"})
        await house.service.stop()
        for batch_size in (100, 7):
            house = again(house, tmp_path, batch_size=batch_size)
            await house.service.start()
            assert (await house.wire.call("ListTags", Resource=arn))["Tags"] == {"team": "shop"}
            await house.service.stop()

    run(test())
