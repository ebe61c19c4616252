"""SHELL: the folder of a stack that keeps nothing, and those that killed stacks have left behind.

A stack that ends removes its own. One that was killed cannot: the next one does. Every folder has the number of its
process in its name, and in it the file `lock`, which that process holds locked while it lives (data_directory).
"""

import contextlib
import fcntl
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger("infra.up")

PREFIX = "infra-up-"
LOCK = "lock"


def make() -> Path:
    """A new folder, for this process. Raises OSError."""
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))


def remove_left_behind() -> list[Path]:
    """Removes the folders of this user whose processes are gone, and returns them. Others' are never touched."""
    removed = [folder for folder in sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")) if _removed(folder)]
    if removed:
        log.info("removed %d folders of stacks that were killed: %s", len(removed), removed[0].parent / f"{PREFIX}*")
    return removed


def _removed(folder: Path) -> bool:
    try:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or _lives(folder):
            return False
        with _locked(folder / LOCK):  # two stacks that start together do not remove it both
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # locked: another process uses it (one that we cannot see, in a container); or it has just gone
        return False
    return not folder.exists()


def _lives(folder: Path) -> bool:
    """Whether the process in its name runs. Earlier versions' names have none: their lock alone tells."""
    number = folder.name.removeprefix(PREFIX).partition("-")[0]
    if not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Raises OSError if it is not there, is no file of its own, or is locked already."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW), "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
