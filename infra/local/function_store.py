"""SHELL: functions made through the API, kept over a restart in one file of the data directory."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from infra.model.function.record import FunctionRecord

log = logging.getLogger("infra.functions")


class Kept(NamedTuple):
    record: FunctionRecord
    reserved: int | None


class FunctionStore:
    """`write` replaces all that is kept, at once or not at all; nothing is written while there is nothing to keep."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Kept]:
        """What was kept last and still has its code. What cannot be read is told and left out."""
        try:
            given = json.loads(self._path.read_bytes())
            kept = [Kept(FunctionRecord.from_plain(each["record"]), each["reserved"]) for each in given]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("functions of an earlier run are lost: %s cannot be read: %s", self._path, error)
            return []
        whole = [each for each in kept if Path(each.record.latest.code).is_dir()]
        for each in kept:
            if each not in whole:
                log.warning("function %s of an earlier run is lost: its code is gone", each.record.latest.name)
        return whole

    def write(self, functions: Sequence[Kept]) -> None:
        if not functions and not self._path.exists():
            return
        kept = [{"record": each.record.plain(), "reserved": each.reserved} for each in functions]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(kept))
        new.replace(self._path)
