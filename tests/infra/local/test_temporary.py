"""The folders of stacks that keep nothing: one's own has the process's number, a killed stack's is removed later."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local import temporary
from infra.local.stack_inputs import data_directory


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def left(path: Path, *, lock: bool = True) -> Path:
    path.mkdir()
    (path / "functions").mkdir()
    if lock:
        (path / "lock").touch()
    return path


def test_a_stack_without_a_data_dir_has_a_folder_with_its_process_in_the_name(folder: Path) -> None:
    with data_directory(None) as path:
        assert path.parent == folder
        assert path.name.startswith(f"infra-up-{os.getpid()}-")
    assert list(folder.iterdir()) == []


def test_what_a_killed_stack_has_left_is_removed_at_the_next_start(folder: Path, gone: int) -> None:
    left(folder / f"infra-up-{gone}-a1b2c3d4")
    left(folder / "infra-up-_x9y8z7w")  # as earlier versions named them
    with data_directory(None) as path:
        assert list(folder.iterdir()) == [path]


def test_with_a_data_dir_it_is_removed_too(folder: Path, tmp_path: Path, gone: int) -> None:
    left(folder / f"infra-up-{gone}-a1b2c3d4")
    with data_directory(tmp_path / "data"):
        assert [path.name for path in folder.iterdir()] == ["data"]


def test_the_folder_of_a_process_that_runs_is_kept(folder: Path) -> None:
    own = left(folder / f"infra-up-{os.getppid()}-a1b2c3d4")
    assert temporary.remove_left_behind() == []
    assert (own / "functions").is_dir()


def test_a_folder_whose_lock_is_held_is_kept_although_its_process_cannot_be_seen(folder: Path, gone: int) -> None:
    """Such as one in a container that shares the folder for temporary files."""
    own = left(folder / f"infra-up-{gone}-a1b2c3d4")
    with (own / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert temporary.remove_left_behind() == []
        assert (own / "functions").is_dir()
    assert temporary.remove_left_behind() == [own]


def test_what_is_not_a_folder_of_this_user_and_this_prefix_is_kept(
    folder: Path, gone: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = left(folder / "elsewhere")
    link = folder / f"infra-up-{gone}-link"
    link.symlink_to(target)
    file = folder / f"infra-up-{gone}-file"
    file.touch()
    unlocked = left(folder / f"infra-up-{gone}-young", lock=False)
    assert temporary.remove_left_behind() == []
    foreign = left(folder / f"infra-up-{gone}-foreign")
    user = os.getuid()
    monkeypatch.setattr("os.getuid", lambda: user + 1)
    assert temporary.remove_left_behind() == []
    assert sorted(folder.iterdir()) == sorted([target, link, file, unlocked, foreign])
