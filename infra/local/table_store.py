"""SHELL: the template's tables on disk: every item as it is, in one SQLite file, written before its write is answered.

ministack keeps its tables in memory and can save them only when it ends properly; a checkpoint of a mapping, however,
says that results are in the table, also after a crash. So every item that it stores or removes is written through, at
the three functions by which its DynamoDB does that (looked up by name, so another version may not have them; `attach`
then refuses). Nothing is flushed to the device: it survives the end of this process, but perhaps not a loss of power.
"""

import json
import logging
import sqlite3
import threading
from collections.abc import Collection, MutableMapping
from pathlib import Path
from typing import Any

from infra.local.disk_trouble import DiskTrouble

log = logging.getLogger("infra.tables")

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS items (name TEXT, pk TEXT, sk TEXT, item TEXT, PRIMARY KEY (name, pk, sk)) "
    "WITHOUT ROWID"
)
_PUT = "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?)"

Table = MutableMapping[str, Any]


class StoreError(Exception):
    """The tables cannot be kept; the text names the file and says what to do."""


class TableStore:
    """`attach` once ministack is loaded and the tables are created. Raises StoreError when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()  # ministack answers in several threads
        self._names: Collection[str] = ()
        self._trouble = DiskTrouble(log, f"the tables' file {path}", "writes to the template's tables fail")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Without transactions of its own: each statement is one, and is in the file when `execute` returns.
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.execute(_SCHEMA)
        except sqlite3.OperationalError as error:  # a full disk, for one: what is in the file is still good
            raise StoreError(f"{path} cannot be written ({error}): make room, or use another --data-dir") from error
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path} cannot be used ({error}): delete it, and the tables begin empty") from error

    def attach(self, names: Collection[str], *, account_id: str, region: str) -> int:
        """Puts what is in the file into the tables of these names, and keeps them from now on; says how many items."""
        from ministack.services import dynamodb  # its settings are read at import, so not before it is loaded

        wanted = ("_set_item", "_remove_item", "_items_replaced", "_tables")
        missing = [name for name in wanted if not hasattr(dynamodb, name)]
        if missing:
            raise StoreError(f"this version of ministack has no {missing[0]}: tables cannot be kept with it")
        restored = 0
        for name in names:
            table = dynamodb._tables.get_scoped(account_id, region, name)
            with self._lock:
                rows = self._database.execute("SELECT pk, sk, item FROM items WHERE name = ?", (name,)).fetchall()
            for pk, sk, item in rows:
                dynamodb._set_item(table, pk, sk, json.loads(item))
            restored += len(rows)
        self._names = frozenset(names)
        self._intercept(dynamodb)
        return restored

    def close(self) -> None:
        """Folds the log into the file. What is written to a table afterwards is not kept."""
        self._names = ()
        with self._lock:
            self._database.close()

    def _intercept(self, dynamodb: Any) -> None:
        set_item, remove_item, items_replaced = dynamodb._set_item, dynamodb._remove_item, dynamodb._items_replaced

        def set_and_keep(table: Table, pk: str, sk: str, item: Any) -> Any:
            if table["TableName"] in self._names:
                self._write(_PUT, (table["TableName"], pk, sk, json.dumps(item)))
            return set_item(table, pk, sk, item)

        def remove_and_keep(table: Table, pk: str, sk: str) -> Any:
            if table["TableName"] in self._names:
                self._write("DELETE FROM items WHERE name = ? AND pk = ? AND sk = ?", (table["TableName"], pk, sk))
            return remove_item(table, pk, sk)

        def replace_and_keep(table: Table) -> None:
            """A transaction that failed half way has put back the items of before."""
            items_replaced(table)
            if table["TableName"] in self._names:
                self._rewrite(table)

        dynamodb._set_item = set_and_keep
        dynamodb._remove_item = remove_and_keep
        dynamodb._items_replaced = replace_and_keep

    def _write(self, statement: str, values: tuple[str, ...]) -> None:
        """Before it is in the table: what cannot be written fails, and may be tried again."""
        with self._lock:
            try:
                self._database.execute(statement, values)
            except sqlite3.Error as error:
                self._trouble.failed(error)
                raise
            self._trouble.worked()

    def _rewrite(self, table: Table) -> None:
        name = table["TableName"]
        rows = [(name, pk, sk, json.dumps(item)) for pk, held in table["items"].items() for sk, item in held.items()]
        with self._lock, self._database:
            self._database.execute("BEGIN")
            self._database.execute("DELETE FROM items WHERE name = ?", (name,))
            self._database.executemany(_PUT, rows)
