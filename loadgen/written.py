"""SHELL: a load's files in its folder, and its summary on stdout."""

import contextlib
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.ops.errors import USAGE, CommandError
from loadgen.outcome.account import counted
from loadgen.outcome.results import ResultsError, decode_all
from loadgen.sending.recording_file import regular
from loadgen.showing.page import page
from loadgen.showing.summary import lines

RESULTS = "results.jsonl"
PARTS = "results-*.jsonl.part"  # each of several senders' own lines (sending/team.py)
REPORTS = ("report.json", "report.html")


def prepare(out: Path) -> contextlib.ExitStack:
    """An empty results.jsonl, and nothing of an earlier load. The folder is this load's alone until the returned one
    is closed, or the process ends however it does. Raises CommandError (usage), also when another load writes there."""
    with contextlib.ExitStack() as stack:
        try:
            out.mkdir(parents=True, exist_ok=True)
            _hold(out, stack)
            # an earlier load's reports and its killed senders' lines do not belong to these results
            earlier = [out / f"{name}{end}" for name in REPORTS for end in ("", ".part")]
            for path in (*earlier, *out.glob(PARTS)):
                path.unlink(missing_ok=True)
            (out / RESULTS).write_text("")
        except OSError as error:
            raise CommandError(f"--out {out}: no reports can be written there: {error.strerror}", USAGE) from error
        return stack.pop_all()


def _hold(out: Path, stack: contextlib.ExitStack) -> None:
    """A lock on the folder itself leaves no file behind, and no process that was killed holds one."""
    descriptor = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    stack.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CommandError(
            f"--out {out}: another load is writing there; wait for it, or give --out another folder", USAGE
        ) from error
    except OSError:  # a file system without locks on folders: the lines are counted at the end all the same
        return


def outside(out: Path, acknowledged: int) -> str:
    """How many events the stream has that no line of results.jsonl tells of; whatever there is of the file is read."""
    written = 0
    with contextlib.suppress(OSError, ResultsError, CommandError):
        if regular(out / RESULTS):
            with (out / RESULTS).open(encoding="utf-8", errors="replace") as file:
                for result in decode_all(file):
                    written += len(result.due_us) if result.failed is None else 0
    return f"{acknowledged - written:,} of {counted(acknowledged, 'event')} that the stream acknowledged are not in it"


def write(out: Path, document: Mapping[str, Any]) -> None:
    """report.json and report.html, each whole or not at all. Raises OSError."""
    for name, text in zip(REPORTS, (json.dumps(document, indent=1) + "\n", page(document)), strict=True):
        whole(out / name, text)


def whole(path: Path, text: str) -> None:
    """The file has this text, or what it had before; half of a surrogate pair is written as its number. Raises
    OSError."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def try_to_write(out: Path, document: Mapping[str, Any]) -> str | None:
    """None: the reports are there; else why not."""
    try:
        write(out, document)
    except OSError as error:
        return f"{out}: the reports cannot be written: {error.strerror}; what was measured is above"
    return None


def summarize(document: Mapping[str, Any], last_line: str = "") -> None:
    """The account, the most important numbers and the verdict on stdout."""
    say("\n".join((*lines(document, width()), last_line)))


def width() -> int | None:
    """Characters of a line of the terminal that reads stdout; None: no terminal does."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def say(text: str) -> None:
    """On stdout, in the characters that it has. A reader that has enough (`| head`) may go."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(f"{text.encode(encoding, 'backslashreplace').decode(encoding)}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would complain again at exit
