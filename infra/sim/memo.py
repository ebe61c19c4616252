"""DRIVER: the processor's reading of a payload, done once per different payload and process.

`deaggregate`, `read`, `ask_all` and what they call are pure: the same bytes always give the same values. They take most
of the CPU time of a batch, a simulation delivers the same bytes many times over (retries, resends, other seeds), and
what is simulated is everything around them. So the real functions run once and their answers are remembered: of an
aggregate as a whole, and of every user record in it. Without `installed` nothing is, and the traces are the same (a
test compares them).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from processor.core import plan as planning
from processor.core import reading
from processor.core.errors import Malformed
from processor.core.events import Event, parse_all
from processor.core.reading import Asked, Reading, Rules, ask_all, read
from processor.core.records import KinesisRecord, UserRecord, deaggregate
from processor.core.rule_results import Change, changes

REMEMBERED_MAX = 400_000  # user records; then all is forgotten: about 2 KB each


class _Checked(list[Any]):
    """What `changes` made of a rule's answer."""


class _Known(Event):
    """A remembered event: there is one of each, so it is found by what it is and not by what it holds."""

    __slots__ = ()
    __hash__ = object.__hash__
    __eq__ = object.__eq__


class _Users(list[UserRecord]):
    """The user records of an aggregate, and what they were read as."""

    reading: "_Reading | None" = None


class _Reading(Reading):
    """What an aggregate was read as, and what the rules wanted of it."""

    asked: Asked | None = None


class _Answers(dict[Event, "_Checked"]):
    """What the rules want of each known event, checked; asked for the first time, they are asked."""

    def __init__(self, rules: Rules, check: Callable[[Iterable[object]], list[Change]]) -> None:
        self._rules, self._check = rules, check

    def __missing__(self, event: Event) -> _Checked:
        checked = self[event] = _Checked(self._check(list(self._rules(event))))
        return checked


class Memo:
    """Remembers for one set of rules; `installed` puts it in the place of the real functions."""

    def __init__(self, rules: Rules) -> None:
        self._users: dict[bytes, _Users] = {}
        self._parsed: dict[bytes, Event | Malformed] = {}
        self._answers = _Answers(rules, changes)
        self._deaggregate, self._read, self._ask_all = deaggregate, read, ask_all
        self._parse_all, self._check = parse_all, changes

    @contextmanager
    def installed(self) -> Iterator[Rules]:
        """Yields the rules to give to `plan`."""
        places = [(planning, name) for name in ("deaggregate", "read", "ask_all", "parse_all")]
        places += [(reading, name) for name in ("parse_all", "changes")]
        before = [getattr(module, name) for module, name in places]
        try:
            for module, name in places:
                setattr(module, name, getattr(self, name))
            yield self._answers.__getitem__
        finally:
            for (module, name), function in zip(places, before, strict=True):
                setattr(module, name, function)

    def deaggregate(self, record: KinesisRecord) -> list[UserRecord]:
        users = self._users.get(record.data)
        if users is None:
            found = self._deaggregate(record)
            if not found[0].aggregated:  # the answer has the record's partition key in it
                return found
            users = self._users[record.data] = _Users(found)
        return users

    def read(self, users: Sequence[UserRecord]) -> Reading:
        if type(users) is not _Users:
            return self._read(users)
        if users.reading is None:
            found = self._read(users)
            users.reading = _Reading(found.payloads, found.found, found.identities)
        return users.reading

    def ask_all(self, found: Reading, rules: Rules) -> Asked:
        if type(found) is not _Reading:
            return self._ask_all(found, rules)
        if found.asked is None:
            found.asked = self._ask_all(found, rules)
        return found.asked

    def parse_all(self, datas: Sequence[bytes]) -> list[Event | Malformed]:
        parsed = self._parsed
        try:
            return [parsed[data] for data in datas]
        except KeyError:
            pass
        if len(parsed) > REMEMBERED_MAX:
            self._users.clear()
            self._answers.clear()
            parsed.clear()
        new = [data for data in dict.fromkeys(datas) if data not in parsed]
        found = self._parse_all(new)
        parsed.update(
            (data, event if isinstance(event, Malformed) else _Known(*event))
            for data, event in zip(new, found, strict=True)
        )
        return [parsed[data] for data in datas]

    def changes(self, effects: Iterable[object]) -> list[Change]:
        return effects if type(effects) is _Checked else self._check(effects)
