"""A disk that is full for a while: told once, tried again at a bounded pace, and nothing else stops."""

import logging
import os
from pathlib import Path

import pytest

from infra.local import function_log
from infra.local.disk_trouble import DiskTrouble
from infra.local.function_log import FunctionLog
from infra.local.functions import FunctionService
from infra.model.function import ServiceError, Succeeded
from tests.support.function_service import call, run

FULL = OSError(28, "No space left on device")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_failures_are_told_once_counted_and_tried_again_at_a_bounded_pace(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    trouble = DiskTrouble(logging.getLogger("infra.some"), "/data/x", "lines are lost", clock=clock)
    assert trouble.may_try()
    trouble.failed(FULL)
    tries = 0
    for _ in range(100):
        clock.now += 0.1
        if trouble.may_try():
            tries += 1
            trouble.failed(FULL)
    assert 9 <= tries <= 10
    assert trouble.failures == 101
    clock.now += 1
    assert trouble.may_try()
    trouble.worked()
    trouble.worked()
    assert trouble.may_try()
    assert [record.getMessage() for record in caplog.records] == [
        "/data/x cannot be written (No space left on device): lines are lost; make room, or stop and use another "
        "--data-dir",
        "/data/x can be written again, after 101 failures",
    ]


class FullDisk:
    """What the log writes to; `full` after so many bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self.tries = 0
        monkeypatch.setattr(function_log, "_write", self._write)

    def _write(self, file: int, data: bytes) -> int:
        self.tries += 1
        if not self.room:
            raise FULL
        written = os.write(file, data[: self.room])
        self.room -= written
        return written


def test_lines_that_cannot_be_written_are_in_memory_and_the_file_has_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk, clock, seen = FullDisk(monkeypatch, 9), Clock(), list[str]()
    log = FunctionLog(tmp_path / "logs" / "fn.log", "group", lambda _, __, line: seen.append(line), clock=clock)
    for number in range(50):
        log.write("stream", [f"line {number}"])
    assert log.path.read_text() == "line 0\n"
    assert disk.tries == 3  # the first line, the two parts of the second one
    disk.room, clock.now = 10**6, clock.now + 2
    log.write("stream", ["after"])
    log.close()
    assert log.path.read_text() == "line 0\nafter\n"
    assert list(log.lines) == seen == [*(f"line {number}" for number in range(50)), "after"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_log_that_cannot_be_rotated_goes_on_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function_log, "FILE_BYTES_MAX", 10)
    clock = Clock()
    log = FunctionLog(tmp_path / "logs" / "fn.log", "group", clock=clock)
    log.write("stream", ["12345"])

    def refused(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refused)
        log.write("stream", ["lost 1"])
    clock.now += 2
    log.write("stream", ["newer"])
    log.close()
    assert log.path.read_text() == "newer\n"
    assert log.path.with_name("fn.log.1").read_text() == "12345\n"


def test_a_full_disk_does_not_keep_an_invocation_from_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(service: FunctionService) -> None:
        disk = FullDisk(monkeypatch, 0)
        for _ in range(3):
            outcome = await call(service)
            assert isinstance(outcome, Succeeded)
        assert disk.tries > 0
        assert sum(line.startswith("REPORT") for line in service.log_lines("fn")) == 3

    run(tmp_path, "def handler(event, context):\n    print('x')\n    return 1", scenario)


def test_an_environment_without_a_folder_is_a_service_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again, as AWS does with its own errors."""

    async def scenario(service: FunctionService) -> None:
        make = Path.mkdir

        def full(self: Path, *arguments: object, **named: object) -> None:
            if self.name.startswith("environment-"):
                raise FULL
            make(self, *arguments, **named)  # type: ignore[arg-type]  # passed on as they are

        with monkeypatch.context() as patch:
            patch.setattr(Path, "mkdir", full)
            outcome = await call(service)
        assert isinstance(outcome, ServiceError)
        assert "No space left on device" in outcome.reason
        assert isinstance(await call(service), Succeeded)

    run(tmp_path, "def handler(event, context): return 1", scenario)
