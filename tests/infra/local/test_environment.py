"""One runtime process: that it dies with its parent, leaves nothing behind, and says so when it cannot be started."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from infra.local.functions import FunctionService
from infra.local.staging import stage
from infra.model.function import FunctionError, ServiceError
from tests.support.function_service import LIMIT_S, alive, answer, call, run, until

PARENT = """
import asyncio, sys
from pathlib import Path
from infra.local.functions import FunctionService
from tests.support.function_service import blueprint, until

async def main():
    folder = Path(sys.argv[1])
    service = FunctionService("000000000000", "us-east-1", folder / "data")
    service.add(blueprint(), task_root=folder / "code", environment={})
    busy = asyncio.ensure_future(service.invoke("fn", b"60", request_id="1"))
    await until((folder / "busy").exists)
    await service.invoke("fn", b"0", request_id="2")
    print(*service.pids("fn"), flush=True)
    await busy

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_no_process_survives_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = tmp_path / "code" / "shop"
    code.mkdir(parents=True)
    (code / "app.py").write_text(f"""
import pathlib, time
def handler(event, context):
    if event: pathlib.Path({str(tmp_path / "busy")!r}).touch()
    time.sleep(event)
""")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        text=True,
    )
    guard = threading.Timer(LIMIT_S, parent.kill)
    guard.start()
    try:
        assert parent.stdout is not None
        busy, idle = map(int, parent.stdout.readline().split())
        assert alive(idle)
        assert alive(busy)
        parent.kill()
        parent.wait()
        asyncio.run(until(lambda: not alive(idle) and not alive(busy)))
    finally:
        guard.cancel()
        parent.kill()
        parent.wait()
        if parent.stdout is not None:
            parent.stdout.close()


def test_the_command_line_of_a_process_names_awslambdaric_and_its_session_is_its_own(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        pid = await answer(service)
        assert "awslambdaric" in Path(f"/proc/{pid}/cmdline").read_text()
        assert os.getsid(pid) == pid != os.getsid(0)

    run(tmp_path, "import os\ndef handler(event, context): return os.getpid()", scenario)


def test_what_a_function_started_and_left_behind_ends_with_its_process(tmp_path: Path) -> None:
    source = """
import os, subprocess
def handler(event, context):
    return [os.getpid(), subprocess.Popen(["sleep", "60"]).pid]
"""

    async def scenario(service: FunctionService) -> None:
        own, left = await answer(service)
        os.kill(own, signal.SIGKILL)
        await until(lambda: not alive(left))

    run(tmp_path, source, scenario)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_many_starts_and_kills_leave_no_descriptor_open(tmp_path: Path) -> None:
    async def scenario(service: FunctionService) -> None:
        for _ in range(3):
            assert isinstance(await call(service), FunctionError)
        await until(lambda: not service.pids("fn"))
        before = open_files()
        for _ in range(10):
            assert isinstance(await call(service), FunctionError)
        await until(lambda: not service.pids("fn"))
        await until(lambda: open_files() <= before)

    run(tmp_path, "import os\ndef handler(event, context): os._exit(1)", scenario)


def test_a_process_that_cannot_be_started_is_a_service_error_that_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(service: FunctionService) -> None:
        monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
        outcome = await call(service)
        assert isinstance(outcome, ServiceError)
        assert "fn could not be started: FileNotFoundError" in outcome.reason
        monkeypatch.undo()
        assert await answer(service, 1) == 1

    run(tmp_path, "def handler(event, context): return event", scenario)


def test_staging_copies_the_code_folder_under_its_own_name_and_nothing_else(tmp_path: Path) -> None:
    code = tmp_path / "repository" / "shop"
    (code / "__pycache__").mkdir(parents=True)
    (code / "inner").mkdir()
    (code / "inner" / "a.py").write_text("1")
    (code / ".hidden").write_text("x")
    (code.parent / "secret.py").write_text("x")
    root = stage(code, tmp_path / "root")
    assert sorted(str(p.relative_to(root)) for p in root.rglob("*")) == ["shop", "shop/inner", "shop/inner/a.py"]
    (code / "inner" / "a.py").unlink()
    (code / "b.py").write_text("2")
    assert stage(tmp_path / "repository" / "x" / ".." / "shop", tmp_path / "root") == root
    assert sorted(str(p.relative_to(root)) for p in root.rglob("*")) == ["shop", "shop/b.py", "shop/inner"]


def test_staging_says_what_is_missing_and_never_copies_a_folder_into_itself(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="check CodeUri"):
        stage(tmp_path / "absent", tmp_path / "root")
    code = tmp_path / "shop"
    code.mkdir()
    (code / "kept.py").touch()
    with pytest.raises(ValueError, match="one inside the other"):
        stage(code, code / "root")
    with pytest.raises(ValueError, match="one inside the other"):
        stage(code, tmp_path)
    assert (code / "kept.py").exists()


def test_what_a_killed_service_left_is_removed_by_the_next_one_and_nothing_else(tmp_path: Path) -> None:
    left = [
        tmp_path / "environments" / "fn" / "0123456789abcdef" / "environment-1",
        tmp_path / "code" / "fn" / "0123456789abcdef0123456789abcdef",
    ]
    others = [tmp_path / "code" / "mine" / "src", tmp_path / "environments" / "fn" / "notes", tmp_path / "elsewhere"]
    for folder in left + others:
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    FunctionService("000000000000", "us-east-1", tmp_path)
    assert [path.exists() for path in left] == [False, False]
    assert all((path / "file").exists() for path in others)
