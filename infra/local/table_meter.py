"""SHELL: the write units of tables without limits, as AWS publishes them of every table.

ministack knows its items; what a write costs follows from the item before and after it (`infra.model.table`), and one
that its condition refuses, or that inserts what is there, costs what is there. It is counted where ministack stores,
removes and refuses (functions looked up by name, so another version may not have them; nothing is counted then). Not
seen: that a write of a transaction costs twice as much, and that to delete what is not there costs a unit.
"""

import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from infra.model.table import item_size, write_units

log = logging.getLogger("infra.tables")

STATEMENTS = ("_partiql_insert", "_partiql_update", "_partiql_delete")
FUNCTIONS = ("_set_item", "_remove_item", "_conditional_check_failed", "_extract_key_val", *STATEMENTS)
REFUSED = (b"ConditionalCheckFailed", b"DuplicateItem")


class TableMeter:
    """`is_metered`: whether somebody else counts what the table of this name consumes at the moment."""

    def __init__(self, is_metered: Callable[[str], bool]) -> None:
        self._is_metered = is_metered
        self._lock = threading.Lock()  # ministack answers in several threads
        self._units: Counter[str] = Counter()

    def attach(self) -> None:
        """From now on. To be called once ministack is loaded, and items of an earlier run are back in their tables."""
        from ministack.services import dynamodb  # its settings are read at import, so not before it is loaded

        if missing := [name for name in FUNCTIONS if not hasattr(dynamodb, name)]:
            log.warning("this version of ministack has no %s: write units of tables are not published", missing[0])
            return
        self._count_writes(dynamodb)
        self._count_refusals(dynamodb)

    def _count_writes(self, dynamodb: Any) -> None:
        set_item, remove_item = dynamodb._set_item, dynamodb._remove_item

        def set_and_count(table: Mapping[str, Any], pk: str, sk: str, item: Any) -> Any:
            before = set_item(table, pk, sk, item)
            self._count(table["TableName"], before, item)
            return before

        def remove_and_count(table: Mapping[str, Any], pk: str, sk: str) -> Any:
            before = remove_item(table, pk, sk)
            self._count(table["TableName"], before, None)
            return before

        dynamodb._set_item, dynamodb._remove_item = set_and_count, remove_and_count

    def _count_refusals(self, dynamodb: Any) -> None:
        refuse = dynamodb._conditional_check_failed

        def refuse_and_count(data: Mapping[str, Any], item: Any, *more: Any) -> Any:
            if isinstance(name := data.get("TableName"), str):  # not a statement's
                self._count(name.rpartition("/")[2], item, None)
            return refuse(data, item, *more)

        dynamodb._conditional_check_failed = refuse_and_count
        for name in STATEMENTS:
            setattr(dynamodb, name, self._of_statement(getattr(dynamodb, name), dynamodb._extract_key_val))

    def _of_statement(self, run: Callable[..., Any], value_of: Callable[[Any], Any]) -> Callable[..., Any]:
        def run_and_count(table: Mapping[str, Any], parsed: Mapping[str, Any], *more: Any) -> Any:
            answer = run(table, parsed, *more)
            if answer[0] == 400 and any(code in answer[2][:200] for code in REFUSED):
                self._count(table["TableName"], _there(table, parsed, answer[2], value_of), None)
            return answer

        return run_and_count

    def counted(self) -> dict[str, int]:
        """Write units by table, since it is attached; a table with limits is not among them while it has them."""
        with self._lock:
            return dict(self._units)

    def _count(self, table: str, before: Any, after: Any) -> None:
        if self._is_metered(table):
            return
        units = write_units(_size(before), _size(after))
        with self._lock:
            self._units[table] += units


def _there(
    table: Mapping[str, Any], parsed: Mapping[str, Any], body: bytes, value_of: Callable[[Any], Any]
) -> Mapping[str, Any] | None:
    """The item that a statement was refused for; None: it is not known, or there is none."""
    new = parsed.get("item") or {}
    new = new["M"] if set(new) == {"M"} else new
    if table["pk_name"] in new:
        sk = value_of(new.get(table["sk_name"])) if table["sk_name"] else "__no_sort__"
        found: Mapping[str, Any] | None = table["items"].get(value_of(new[table["pk_name"]]), {}).get(sk)
        return found
    told: Mapping[str, Any] | None = json.loads(body).get("Item")
    return told


def _size(item: Any) -> int:
    try:
        return item_size(item) if item else 0
    except ValueError:  # ministack took what DynamoDB would not
        return 0
