"""SHELL: streams kept on disk while the disk can take them, and what becomes of a request when it cannot.

A put that cannot be written is taken back from memory and fails: no reader has seen it. Any other change stays in
memory, where it is in force, and is written as soon as that is possible; who asked for it is told InternalFailure,
which means here what it means on AWS: look before asking again. Reading goes on.
"""

import logging
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from infra.local.disk_trouble import DiskTrouble
from infra.local.kinesis_store import Saved, StreamStore
from infra.model.stream import Stream, StreamError

log = logging.getLogger("infra.kinesis")

_FAILED = {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal service failure."}
_ASKING = ("Describe", "Get", "List")


class StreamKeeper:
    """Raises OSError when the folder cannot be used."""

    def __init__(self, folder: Path) -> None:
        self.store = StreamStore(folder)
        self._trouble = DiskTrouble(
            log, f"the streams' folder {folder}", "puts are refused with InternalFailure, reading goes on"
        )

    def load(self) -> Iterator[Saved]:
        """Raises StoreError."""
        return self.store.load()

    def save(self, streams: Collection[Stream], now: float) -> None:
        """Raises OSError, after it was told."""
        try:
            if self.store.save(streams, now):
                self._trouble.worked()
        except OSError as error:
            self._trouble.failed(error)
            raise

    def save_soon(self, streams: Collection[Stream], now: float) -> None:
        """What is new by time alone; if it cannot be written, it is tried again with a later call."""
        if self._trouble.due:
            try:
                self.save(streams, now)
            except OSError:
                return

    def save_answered(
        self, operation: str, output: dict[str, Any] | None, streams: Collection[Stream], now: float
    ) -> dict[str, Any] | None:
        """Saves what `operation` has changed; returns its answer. StreamError when it is not kept."""
        if operation.startswith(_ASKING):
            self.save_soon(streams, now)
            return output
        try:
            self.save(streams, now)
        except OSError as error:
            taken_back = sum(stream.take_back() for stream in streams)
            if operation in ("PutRecord", "PutRecords") and not taken_back:  # it is another stream that has trouble
                return output
            if operation == "PutRecords" and output is not None:
                return _failed(output)
            raise StreamError("InternalFailure", "The stream could not be written.") from error
        return output

    def close(self) -> None:
        self.store.close()


def _failed(output: dict[str, Any]) -> dict[str, Any]:
    """The answer of a PutRecords none of whose records was kept; those that were refused stay so."""
    records = [_FAILED if "SequenceNumber" in record else record for record in output["Records"]]
    return {**output, "FailedRecordCount": len(records), "Records": records}
