"""Several event source mappings that poll one stream, whose shard has its quota, in virtual time."""

from collections.abc import Callable, Sequence
from functools import partial

from infra.local.mapping_positions import resolve
from infra.model.function import Succeeded
from infra.model.mapping import (
    AwaitRecords,
    Command,
    EventSourceMapping,
    Invoke,
    ListShards,
    MappingConfig,
    Pace,
    Read,
    RequestIds,
    Sharing,
)
from infra.model.stream import Entry, Stream, Throttled
from tests.support.agenda import Agenda
from tests.support.mapping_doubles import StreamsInMemory
from tests.support.mapping_world import EPOCH_S, ROLE, STREAM


class Crowd:
    """`members` mappings of stream `events`, each to be begun; their functions answer at once."""

    def __init__(self, members: int, *, shards: int = 1, pace: Pace | None = None, name: str = "crowd") -> None:
        self.now = EPOCH_S
        self.stream = Stream(
            "events", account_id="111111111111", region="us-east-1", shard_count=shards, now=self.now - 3_600
        )
        self.streams = StreamsInMemory(self.stream, lambda: self.now)
        self.read_at: list[list[float]] = [[] for _ in range(members)]  # admitted ones
        self.refused = 0
        self.lags_s: list[list[float]] = [[] for _ in range(members)]  # of every record delivered
        self._agenda: Agenda[None] = Agenda()
        self._awaiting: list[int] = []
        self.sharing = Sharing()
        self.machines = [
            EventSourceMapping(
                MappingConfig(
                    uuid=f"{name}-{member}",
                    function_arn=f"arn:aws:lambda:us-east-1:111111111111:function:work-{member}",
                    event_source_arn=STREAM,
                    role_arn=ROLE,
                    pace=pace or Pace(),
                ),
                RequestIds(f"{name}/{member}"),
                sharing=self.sharing,
            )
            for member in range(members)
        ]

    def begin(self, member: int, after_s: float = 0.0) -> None:
        self.later(after_s, lambda: self.feed(member, self.machines[member].start(self.now)))

    def put(self, *keys: str) -> None:
        self.stream.put([Entry(key, b"x") for key in keys], self.now)
        self.wake()

    def wake(self) -> None:
        waked, self._awaiting = self._awaiting, []
        for member in waked:  # in the order in which they began to wait, as the shell wakes them
            self.later(0.0, partial(self._changed, member))

    def later(self, after_s: float, what: Callable[[], None]) -> None:
        self._agenda.add(self.now + after_s, what)

    def run(self, seconds: float) -> "Crowd":
        """Bounded: machines that spin fail."""
        end = self.now + seconds
        for _ in range(500_000):
            deadlines = [(each.deadline or end + 1, member) for member, each in enumerate(self.machines)]
            due_s, member = min(deadlines)
            if (at_s := self._agenda.next_s) is not None and at_s <= min(due_s, end):
                self.now = max(self.now, at_s)
                self._agenda.do()
            elif due_s <= end:
                self.now = max(self.now, due_s)
                self.feed(member, self.machines[member].wake_up(self.now))
            else:
                self.now = end
                return self
        raise AssertionError("the machines spin")

    def longest_pause_s(self) -> float:
        """Between two reads of one mapping; the time since its last counts too."""
        return max(
            later - earlier
            for times in self.read_at
            for earlier, later in zip([EPOCH_S, *times], [*times, self.now], strict=True)
        )

    def _changed(self, member: int) -> None:
        self.feed(member, self.machines[member].stream_changed(self.now))

    def feed(self, member: int, commands: Sequence[Command]) -> None:
        machine = self.machines[member]
        for command in commands:
            match command:
                case ListShards():
                    self.later(0.0, partial(self._list, member))
                case AwaitRecords():
                    self._awaiting.append(member)
                case Read():
                    self.later(0.0, partial(self._read, member, command))
                case Invoke():
                    self.lags_s[member] += [self.now - each.arrived_at_ms / 1000 for each in command.records]
                    outcome = Succeeded(command.request_id, b"null")
                    self.feed(member, machine.invocation_finished(self.now, command.invocation_id, outcome))
                case _:
                    pass

    def _list(self, member: int) -> None:
        self.feed(member, self.machines[member].shards_listed(self.now, self.streams.shards(STREAM)))

    def _read(self, member: int, read: Read) -> None:
        machine, shard_id = self.machines[member], read.shard_id
        try:
            result = self.streams.read(STREAM, shard_id, resolve(self.streams, STREAM, read), read.limit)
        except Throttled:
            self.refused += 1
            self.feed(member, machine.read_throttled(self.now, shard_id))
            return
        self.read_at[member].append(self.now)
        commands = machine.records_read(
            self.now,
            shard_id,
            result.records,
            result.position,
            millis_behind_latest=result.millis_behind_latest,
            end_of_shard=result.end_of_shard,
        )
        self.feed(member, commands)
