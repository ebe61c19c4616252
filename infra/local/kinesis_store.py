"""SHELL: streams on disk: an append-only log per stream, read back when the local stack starts again.

    DIR/<stream>.stream/<number>.log    segments, of which the last one is written to

An entry is its length (4 bytes), a CRC-32 (4), its kind (1) and its content: `S`, everything about the stream but its
records, as JSON; or `R`, the records of one put. A segment begins with an `S`; another follows when something changed.
So the last `S` and all `R` are the stream.

An entry is written by one system call before the put is answered, and never flushed to the device: what was
acknowledged survives the end of this process, however it ends, but not a loss of power. What a crash cut off at the end
of the last segment was never acknowledged, and is removed. Segments whose records have all left retention are deleted.
"""

import json
import logging
import os
import shutil
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

from infra.model.shard import StreamRecord
from infra.model.stream import Stream

log = logging.getLogger("infra.kinesis")

SEGMENT_BYTES = 64 * 1024 * 1024
_ENTRY = struct.Struct(">IIc")
_RECORD = struct.Struct(">I24sQHI")  # shard index, sequence number, arrival (ms), bytes of key, bytes of data
_STATE, _RECORDS = b"S", b"R"
_SUFFIX = ".stream"
_write = os.write
_writev = os.writev


class StoreError(Exception):
    """What is on disk cannot be read; the text names the file and says what to do."""


@dataclass
class Saved:
    """A stream as found on disk: its last state, and its records by index of their shard."""

    state: dict[str, Any]
    records: dict[int, list[StreamRecord]] = field(default_factory=dict)


@dataclass
class _Segment:
    path: Path
    arrived_at_ms: int = 0  # of its last record


class StreamLog:
    """Appends to the log of one stream. An OSError leaves the log as it was before, and what was put unsaved."""

    def __init__(self, folder: Path, segments: list[_Segment], segment_bytes: int) -> None:
        self._folder = folder
        self._segments = segments
        self._segment_bytes = segment_bytes
        self._revision = 0  # none: the first thing written is the state
        self._size = 0
        self._file = -1
        if segments:
            self._file = os.open(segments[-1].path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self._size = os.fstat(self._file).st_size

    def save(self, stream: Stream, now: float) -> bool:
        """Writes what is new of the stream since the last time; says whether that was anything."""
        unsaved = stream.unsaved or []
        if stream.revision == self._revision and not unsaved:
            return False
        begins = self._file < 0 or self._size >= self._segment_bytes
        if begins:
            self._begin_segment()
        entries: list[bytes] = []
        if stream.revision != self._revision:
            entries += _entry(_STATE, json.dumps(stream.plain()).encode())
        if unsaved:
            entries += _entry(_RECORDS, _packed(unsaved))
        self._append(entries)
        self._revision = stream.revision
        if unsaved:
            self._segments[-1].arrived_at_ms = max(record.arrived_at_ms for _, record in unsaved)
            unsaved.clear()
        if begins:
            self._drop_expired(int(stream.trim_horizon_s(now) * 1000))
        return True

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def remove(self) -> None:
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _begin_segment(self) -> None:
        number = int(self._segments[-1].path.stem) + 1 if self._segments else 1
        path = self._folder / f"{number:016d}.log"
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self.close()
        self._file, self._size, self._revision = file, 0, 0
        self._segments.append(_Segment(path))

    def _append(self, pieces: Sequence[bytes]) -> None:
        size = sum(map(len, pieces))
        try:
            written = _writev(self._file, pieces)
            while written < size:  # the system took a part only
                written += _write(self._file, b"".join(pieces)[written:])
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += size

    def _drop_expired(self, oldest_ms: int) -> None:
        """Deletes the segments before the last one whose records all arrived before `oldest_ms`."""
        while len(self._segments) > 1 and self._segments[0].arrived_at_ms < oldest_ms:
            self._segments.pop(0).path.unlink(missing_ok=True)


class StreamStore:
    """The logs of all streams below one folder. One process at a time may use it."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._logs: dict[str, tuple[StreamLog, Stream | None]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def load(self) -> Iterator[Saved]:
        """Every stream that was saved. StoreError for a log that is damaged other than by a crash."""
        for folder in sorted(self._folder.glob(f"*{_SUFFIX}")):
            saved, segments = _read(sorted(folder.glob("*.log")))
            if saved is None:  # it was being created, and never acknowledged
                shutil.rmtree(folder, ignore_errors=True)
                continue
            self._logs[folder.name.removesuffix(_SUFFIX)] = StreamLog(folder, segments, self._segment_bytes), None
            yield saved

    def save(self, streams: Collection[Stream], now: float) -> bool:
        """Writes what is new, and says whether that was anything; what is no longer among `streams` is removed.

        Raises OSError once all were tried: what was put into a stream that could not be written is still `unsaved`.
        """
        wrote, failures = False, list[OSError]()
        for stream in streams:
            try:
                kept = self._logs.get(stream.name)
                if kept is None or kept[1] is not stream:
                    kept = self._adopt(stream, kept)
                wrote |= kept[0].save(stream, now)
            except OSError as error:
                failures.append(error)
        if len(self._logs) > len(streams):
            for name in self._logs.keys() - {stream.name for stream in streams}:
                self._logs.pop(name)[0].remove()
        if failures:
            raise failures[0]
        return wrote

    def close(self) -> None:
        for stream_log, _ in self._logs.values():
            stream_log.close()

    def _adopt(self, stream: Stream, kept: tuple[StreamLog, Stream | None] | None) -> tuple[StreamLog, Stream]:
        if stream.unsaved is None:
            stream.unsaved = []
        if kept is not None and kept[1] is None:  # loaded just now: its log goes on
            stream_log = kept[0]
        else:
            if kept is not None:
                kept[0].remove()  # another stream of this name was deleted
            folder = self._folder / f"{stream.name}{_SUFFIX}"
            folder.mkdir(exist_ok=True)
            stream_log = StreamLog(folder, [], self._segment_bytes)
        adopted = self._logs[stream.name] = stream_log, stream
        return adopted


def _entry(kind: bytes, content: bytes) -> tuple[bytes, bytes]:
    return _ENTRY.pack(len(content), crc32(content, crc32(kind)), kind), content


def _packed(records: Iterable[tuple[int, StreamRecord]]) -> bytes:
    parts: list[bytes] = []
    for shard_index, record in records:
        key, number = record.partition_key.encode(), record.sequence_number.to_bytes(24, "big")
        head = _RECORD.pack(shard_index, number, record.arrived_at_ms, len(key), len(record.data))
        parts += (head, key, record.data)
    return b"".join(parts)


def _read(paths: Sequence[Path]) -> tuple[Saved | None, list[_Segment]]:
    """The segments of one stream, in order. The last one is cut after its last whole entry."""
    saved: Saved | None = None
    segments = []
    for path in paths:
        segment = _Segment(path)
        encoded = path.read_bytes()
        end = 0
        for kind, content, end in _entries(encoded):  # noqa: B007 - where the last one ended is wanted below
            if kind == _STATE:
                saved = Saved(json.loads(bytes(content)), saved.records if saved else {})
            elif saved is not None:
                segment.arrived_at_ms = _unpack(content, saved.records) or segment.arrived_at_ms
        if end < len(encoded):
            if path != paths[-1]:
                raise StoreError(f"{path} is damaged at byte {end}: restore it, or delete its folder to begin anew")
            log.warning("%s: the last %d bytes were cut off by a crash and are removed", path, len(encoded) - end)
            os.truncate(path, end)
        segments.append(segment)
    return saved, segments


def _entries(encoded: bytes) -> Iterator[tuple[bytes, memoryview, int]]:
    """Kind, content and end of every whole entry up to the first that is not."""
    view, at = memoryview(encoded), 0
    while at + _ENTRY.size <= len(encoded):
        length, checksum, kind = _ENTRY.unpack_from(encoded, at)
        start = at + _ENTRY.size
        content = view[start : start + length]
        if len(content) < length or kind not in (_STATE, _RECORDS) or crc32(content, crc32(kind)) != checksum:
            return
        at = start + length
        yield kind, content, at


def _unpack(content: memoryview, into: dict[int, list[StreamRecord]]) -> int:
    """Adds the records of one entry; returns when the last of them arrived."""
    at = arrived_at_ms = 0
    while at < len(content):
        shard_index, number, arrived_at_ms, key_bytes, data_bytes = _RECORD.unpack_from(content, at)
        key_at = at + _RECORD.size
        data_at = key_at + key_bytes
        at = data_at + data_bytes
        record = StreamRecord(
            int.from_bytes(number, "big"),
            str(content[key_at:data_at], "utf-8"),
            bytes(content[data_at:at]),
            arrived_at_ms,
        )
        into.setdefault(shard_index, []).append(record)
    return arrived_at_ms
