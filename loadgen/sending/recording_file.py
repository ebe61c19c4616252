"""SHELL: a recording's file as lines of bytes, streamed; gzip is recognised by its first two bytes."""

import gzip
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

LINE_BYTES_MAX = 1024 * 1024  # a longer line is no event (Kinesis takes 1 MiB) and no text file
GZIP = b"\x1f\x8b"


class FileError(Exception):
    """The file cannot be read; the text says why."""


def regular(path: Path) -> bool:
    """Whether it can be read more than once and to its end: no pipe, terminal or device. Raises OSError."""
    return stat.S_ISREG(path.stat().st_mode)


def lines(path: Path) -> Iterator[bytes]:
    """Lines with their ends. Raises FileError for a missing, unreadable, damaged or binary file."""
    try:
        if not path.is_dir() and not regular(path):  # a pipe would be waited for
            raise FileError(f"{path}: it is no regular file, and is read more than once: write it into a file first")
        with path.open("rb") as probe:
            compressed = probe.read(2) == GZIP
        with cast(IO[bytes], gzip.open(path, "rb")) if compressed else path.open("rb") as stream:
            number = 0
            while line := stream.readline(LINE_BYTES_MAX + 1):
                number += 1
                if len(line) > LINE_BYTES_MAX:
                    raise FileError(f"{path}: line {number} has more than {LINE_BYTES_MAX} bytes: is it a text file?")
                if number == 1 and b"\x00" in line:
                    raise FileError(f"{path}: it is not a text file (nor gzip of one)")
                yield line
    except FileNotFoundError as error:
        raise FileError(f"{path}: there is no such file") from error
    except IsADirectoryError as error:
        raise FileError(f"{path}: it is a folder, a file is needed") from error
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise FileError(f"{path}: {error}") from error


def first_line(path: Path) -> bytes:
    """The first line, to guess the format from. Raises FileError."""
    return next(lines(path), b"")
