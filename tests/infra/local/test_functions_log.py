"""What a function's log holds: its own lines, and the service's lines around them, in order."""

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

from infra.local import function_log
from infra.local.function_log import FunctionLog, LineSplitter, Tail
from infra.local.functions import FunctionService
from tests.support.function_service import answer, call, failure, run, until

TALK = """
import sys
print("at import")
def handler(event, context):
    print("out")
    print("err", file=sys.stderr)
    print("two\\nlines")
"""


def test_lines_stand_between_start_and_report_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    """fact 11.19"""

    async def scenario(service: FunctionService) -> None:
        await call(service, request_id="a")
        await call(service, request_id="b")
        lines = service.log_lines("fn")
        assert lines[0] == "at import"
        for number, request_id in enumerate("ab"):
            block = lines[1 + 7 * number : 8 + 7 * number]
            start = f"START RequestId: {request_id} Version: $LATEST"
            assert block[:-1] == [start, "out", "err", "two", "lines", f"END RequestId: {request_id}"]
            assert block[-1].startswith(f"REPORT RequestId: {request_id}\tDuration: ")
        assert (tmp_path / "data" / "logs" / "fn.log").read_text().splitlines() == lines

    run(tmp_path, TALK, scenario)


def test_a_report_has_the_memory_used_and_the_init_of_a_cold_start_only(tmp_path: Path) -> None:
    """fact 11.19"""
    pattern = re.compile(
        r"REPORT RequestId: request-1\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 256 MB\t"
        r"Max Memory Used: (\d+) MB(\tInit Duration: [\d.]+ ms)?"
    )

    async def scenario(service: FunctionService) -> None:
        await answer(service)
        await answer(service)
        cold, warm = (pattern.fullmatch(line) for line in service.log_lines("fn") if line.startswith("REPORT"))
        assert cold is not None
        assert warm is not None
        assert cold[2] is not None
        assert warm[2] is None
        assert 5 < int(cold[1]) < 256

    run(tmp_path, "def handler(event, context): pass", scenario)


@pytest.mark.parametrize(
    ("statement", "status", "line"),
    [
        ("time.sleep(9)", "Status: timeout", "RequestId: request-1 Error: Task timed out after 1.00 seconds"),
        (
            "os._exit(2)",
            "Status: error\tError Type: Runtime.ExitError",
            "RequestId: request-1 Error: Runtime exited with error: exit status 2",
        ),
        ("1 / 0", "Status: error\tError Type: ZeroDivisionError", "[ERROR] ZeroDivisionError: division by zero"),
    ],
)
def test_a_report_says_how_an_invocation_failed(tmp_path: Path, statement: str, status: str, line: str) -> None:
    """fact 11.19"""

    async def scenario(service: FunctionService) -> None:
        await failure(service)
        lines = "\n".join(service.log_lines("fn")).split("\n")
        assert lines[-1].endswith(status)
        assert lines.index("START RequestId: request-1 Version: $LATEST") < lines.index(line) < len(lines) - 2

    run(tmp_path, f"import os, time\ndef handler(event, context): {statement}", scenario, timeout_s=1)


def test_an_init_that_fails_has_its_own_report(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        await failure(service)
        *_, init, start, end, report = service.log_lines("fn")
        assert init.startswith("INIT_REPORT Init Duration: ")
        assert init.endswith("Phase: init\tStatus: error\tError Type: Runtime.ImportModuleError")
        assert [line.split()[0] for line in (start, end, report)] == ["START", "END", "REPORT"]

    run(tmp_path, "import absent", scenario)


def test_every_line_reaches_the_sink_with_its_group_and_stream(tmp_path: Path) -> None:
    seen: list[tuple[str, str, str]] = []

    async def scenario(service: FunctionService) -> None:
        await answer(service)
        assert [line for _, _, line in seen] == service.log_lines("fn")
        assert {group for group, _, _ in seen} == {"/aws/lambda/fn"}
        (stream,) = {stream for _, stream, _ in seen}
        assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream)

    options = {"log_sink": lambda *line: seen.append(line)}
    run(tmp_path, TALK, scenario, service_options=options)


def test_what_a_killed_process_wrote_last_is_kept(tmp_path: Path) -> None:
    source = "import os\ndef handler(event, context):\n    os.write(1, b'no end of line')\n    os.kill(os.getpid(), 9)"

    async def scenario(service: FunctionService) -> None:
        await failure(service)
        assert "no end of line" in service.log_lines("fn")

    run(tmp_path, source, scenario)


def test_a_function_that_writes_more_than_a_pipe_holds_is_not_stopped_by_it(tmp_path: Path) -> None:
    source = "def handler(event, context):\n    for _ in range(event): print('x' * 1023)\n    return event"

    async def scenario(service: FunctionService) -> None:
        assert await answer(service, 5_000) == 5_000
        assert service.log_lines("fn")[-1].startswith("REPORT")
        assert (tmp_path / "data" / "logs" / "fn.log").read_bytes().count(b"x" * 1023 + b"\n") == 5_000

    run(tmp_path, source, scenario)


def test_a_process_killed_while_idle_leaves_no_line_of_an_invocation(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        await answer(service)
        before = service.log_lines("fn")
        (pid,) = service.pids("fn")
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not service.pids("fn"))
        await asyncio.sleep(0)
        assert service.log_lines("fn") == before

    run(tmp_path, "def handler(event, context): pass", scenario)


def test_lines_are_put_together_over_reads_and_cut_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function_log, "LINE_BYTES_MAX", 4)
    splitter = LineSplitter()
    assert splitter.feed(b"ab\nc") == ["ab"]
    assert splitter.feed(b"\xc3") == []
    assert splitter.feed(b"\xa4\r\n") == ["cä"]
    assert splitter.feed(b"123456") == ["1234"]
    assert splitter.feed(b"\na\rb\n") == ["56", "a\nb"]
    assert splitter.end() == []


def test_the_file_is_rotated_at_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function_log, "FILE_BYTES_MAX", 10)
    log = FunctionLog(tmp_path / "logs" / "fn.log", "group")
    for text in ("12345", "123", "new"):
        log.write("stream", [text])
    log.close()
    assert log.path.read_text() == "new\n"
    assert log.path.with_name("fn.log.1").read_text() == "12345\n123\n"
    log.write("stream", ["after close"])
    assert list(log.lines) == ["12345", "123", "new"]


def test_the_tail_is_the_last_four_kibibytes() -> None:
    tail = Tail()
    assert tail.read() == b""
    for number in range(1_000):
        tail.add([f"line {number}"])
    read = tail.read()
    assert len(read) <= 4_096
    assert read.endswith(b"line 998\nline 999\n")
    tail.add(["x" * 5_000, "the end"])
    assert tail.read() == b"x" * (4_096 - len("\nthe end\n")) + b"\nthe end\n"
    tail.clear()
    tail.add(["ä" * 5_000])
    assert len(tail.read()) == 4_096
