"""PURE: which shards may be read, and from where. Children wait until their parents are completely processed."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from infra.model.mapping.positions import TRIM_HORIZON, Resume, StartingPosition, from_plain, to_plain


class Shard(Protocol):
    """What a listing says about one shard; `closed` shards get no more records.

    Two shards of one id that begin at different sequence numbers are of two streams of one name.
    """

    @property
    def shard_id(self) -> str: ...
    @property
    def parent_shard_id(self) -> str | None: ...
    @property
    def adjacent_parent_shard_id(self) -> str | None: ...
    @property
    def starting_sequence_number(self) -> int: ...
    @property
    def closed(self) -> bool: ...


def startable(shards: Iterable[Shard], *, read: Collection[str], completed: Collection[str]) -> Iterator[Shard]:
    """Shards that are neither being read nor completed and whose parents are completed, or gone from the listing.

    A merged shard has two parents and waits for both.
    """
    listed = {shard.shard_id: shard for shard in shards}
    for shard in listed.values():
        if shard.shard_id in read or shard.shard_id in completed:
            continue
        parents = (shard.parent_shard_id, shard.adjacent_parent_shard_id)
        if not any(parent in read or (parent in listed and parent not in completed) for parent in parents):
            yield shard


def starting_position(
    shard_id: str, *, first_listing: Collection[str], configured: StartingPosition
) -> StartingPosition:
    """The configured position holds for shards that were there when the mapping began; children found later begin at
    TRIM_HORIZON, or records put before they were found would be lost.
    """
    return configured if shard_id in first_listing else TRIM_HORIZON


class Progress:
    """How far a mapping is: the shards that are completed, and where those go on that are not being read now."""

    def __init__(self, configured: StartingPosition) -> None:
        self.completed: set[str] = set()  # a few dozen bytes per shard that ever was
        self._configured = configured
        self._resumable: dict[str, Resume] = {}
        self._first_listing: frozenset[str] | None = None
        self._listed: list[Shard] = []
        self._starting_numbers: dict[str, int] = {}  # of every shard that ever was listed

    def is_of_this_stream(self, shards: Iterable[Shard]) -> bool:
        """False for the listing of another stream of the same name: the one that is known was deleted."""
        known = self._starting_numbers
        return all(known.get(each.shard_id) in (None, each.starting_sequence_number) for each in shards)

    def begin_anew(self) -> None:
        """Forgets the stream. All of the next one is read: whatever it has was put after the mapping began, so its
        shards begin at TRIM_HORIZON whatever is configured, as children do. A choice: AWS says nothing of it.
        """
        self.completed.clear()
        self._resumable.clear()
        self._starting_numbers.clear()
        self._listed = []
        self._first_listing = frozenset()

    def listed(self, shards: Sequence[Shard]) -> None:
        self._listed = list(shards)
        self._starting_numbers.update({each.shard_id: each.starting_sequence_number for each in shards})
        if self._first_listing is None:
            self._first_listing = frozenset(shard.shard_id for shard in shards)
            if self._configured.kind == "LATEST":
                # A closed shard's latest record is its last one: there is nothing after it to read.
                self.completed.update(shard.shard_id for shard in shards if shard.closed)

    def begin(self, read: Collection[str]) -> Iterator[tuple[Shard, Resume]]:
        """The shards to be read from now on besides those that are `read`, each with its place."""
        for shard in startable(self._listed, read=read, completed=self.completed):
            if shard.shard_id in self._resumable:
                yield shard, self._resumable.pop(shard.shard_id)
            else:
                first = self._first_listing or ()
                yield shard, starting_position(shard.shard_id, first_listing=first, configured=self._configured)

    def leave(self, positions: Mapping[str, Resume]) -> None:
        """These are not read any more, and may be begun again there."""
        self._resumable.update(positions)

    def snapshot(self, reading: Mapping[str, Resume]) -> dict[str, Any]:
        """Plain data; `reading` are the checkpoints of the shards that are being read."""
        resume = {**self._resumable, **reading}
        return {
            "shards": {shard_id: to_plain(position) for shard_id, position in sorted(resume.items())},
            "completed": sorted(self.completed),
            "first_listing": None if self._first_listing is None else sorted(self._first_listing),
            "starting_sequence_numbers": {name: str(number) for name, number in sorted(self._starting_numbers.items())},
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        self._resumable = {shard_id: from_plain(plain) for shard_id, plain in snapshot["shards"].items()}
        self.completed = set(snapshot["completed"])
        if snapshot["first_listing"] is not None:
            self._first_listing = frozenset(snapshot["first_listing"])
        numbers = snapshot.get("starting_sequence_numbers", {})
        self._starting_numbers = {shard_id: int(number) for shard_id, number in numbers.items()}
