"""SHELL: mappings on disk: one JSON file per mapping, replaced as a whole.

    DIR/<uuid>.json    {"format": 1, what the service knows of the mapping, "snapshot": the machine's}

A file is written beside and renamed, and never flushed to the device: it survives the end of this process, however it
ends, but perhaps not a loss of power. A checkpoint on disk may be old, which costs records delivered again; it is never
ahead of what was processed.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.local.disk_trouble import DiskTrouble

log = logging.getLogger("infra.mapping")

FORMAT = 1
# So often at most checkpoints are written. Longer means more records delivered again after a crash.
SAVE_INTERVAL_S = 1.0


class StoreError(Exception):
    """What is on disk cannot be read; the text names the file and says what to do."""


class MappingStore:
    """Raises OSError when the folder cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def load(self) -> Iterator[dict[str, Any]]:
        """Every mapping that was saved. Raises StoreError."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                saved = json.loads(path.read_bytes())
                known = saved["format"] == FORMAT
            except (ValueError, KeyError, TypeError) as error:
                message = f"{path} cannot be read ({error}): delete it; the mapping then begins anew"
                raise StoreError(message) from error
            if not known:
                raise StoreError(f"{path} was written by another version ({saved['format']}): use another --data-dir")
            yield saved

    def save(self, uuid: str, document: Mapping[str, Any]) -> None:
        path = self._folder / f"{uuid}.json"
        beside = path.with_suffix(".new")
        beside.write_bytes(json.dumps({"format": FORMAT, **document}).encode())
        beside.replace(path)

    def remove(self, uuid: str) -> None:
        (self._folder / f"{uuid}.json").unlink(missing_ok=True)


class KeptMappings:
    """What is on disk, brought up to date at a bounded pace. Without a store nothing is kept.

    `found` is what an earlier run left, by UUID. `document` gives what is to be saved of a mapping, or None.
    """

    def __init__(self, store: MappingStore | None, document: Callable[[str], Mapping[str, Any] | None]) -> None:
        self._store = store
        self._document = document
        self._unsaved: set[str] = set()
        self._saving: asyncio.TimerHandle | None = None
        self._trouble = DiskTrouble(
            log, "checkpoints of mappings", "after a crash their records would be delivered again"
        )
        self.found = {saved["uuid"]: saved for saved in store.load()} if store is not None else {}

    def moved(self, uuid: str) -> None:
        """The mapping has a new checkpoint: it is saved before long."""
        self._unsaved.add(uuid)
        self._save_later()

    def save(self, uuids: Iterable[str] = ()) -> None:
        """Saves these now, with those that have moved. What cannot be written is told, and tried again later."""
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None
        unsaved, self._unsaved = self._unsaved.union(uuids), set()
        if self._store is None:
            return
        wrote = False
        for uuid in unsaved:
            document = self._document(uuid)
            if document is None:
                continue
            try:
                self._store.save(uuid, document)
                wrote = True
            except OSError as error:
                self._trouble.failed(error)
                self._unsaved.add(uuid)
        if self._unsaved:
            self._save_later()
        elif wrote:
            self._trouble.worked()

    def remove(self, uuid: str) -> None:
        self._unsaved.discard(uuid)
        if self._store is not None:
            self._store.remove(uuid)

    def _save_later(self) -> None:
        if self._saving is None and self._store is not None:
            self._saving = asyncio.get_running_loop().call_later(SAVE_INTERVAL_S, self.save)
