"""PURE: tumbling windows: which one a shard is in, with what state, and when it ends.

AWS: services-kinesis-windows, and recordings of it. A record's window follows from its arrival time; the function gets
the window's state with every batch and answers with the next one; an invocation without records ends the window, and
the state is gone. What is open is kept for every shard in the mapping's `open_windows`, which snapshots carry: together
with the checkpoint they say how far the state goes, so that a restart loses no state and counts nothing twice (but with
fan-out an aggregate of which a part was settled comes again as a whole). AWS promises only that every record is
processed at least once.

A window ends when a record of a later one is next in the shard, when the shard ends, when it is idle (the shard was
read to its tip `Pace.window_idle_close_s` after the window's end), or early, when its state has grown too large. After
an early end its later records open the same window again with an empty state.

Where AWS is silent:

* windows are aligned to the epoch (recorded for 10 s: 14:11:10 to 14:11:20);
* arrival times can fall: a record of an earlier window than the open one is counted into the open one;
* a batch is sent without waiting for its batching window when a record of the next tumbling window is behind it;
* an answer that makes no progress (the whole batch failed) leaves the state as it was, and so do records that are
  discarded. With a partial response the answer's state stands for the records before the failed one, and is handed to
  the batch of the rest. With bisect the right half gets what the left one answered;
* the final invocation needs a `state` in its answer like every other;
* MaximumRecordAgeInSeconds counts from when the final invocation was due, since it may have no record of its own;
* an update that takes the windows away drops the open one; another length holds from the next window on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from json import JSONDecoder
from re import Pattern
from re import compile as pattern
from typing import Any

from infra.model.mapping.response import not_json
from infra.model.stream import StreamRecord

EMPTY_STATE = b"{}"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """Epoch seconds; `end_s` is the next window's `start_s`."""

    start_s: int
    end_s: int

    def plain(self) -> dict[str, str]:
        """As events and documents show it: ISO 8601, whole seconds."""
        return {"start": _iso(self.start_s), "end": _iso(self.end_s)}


class Ending(Enum):
    """Why an invocation is a window's last."""

    OVER = auto()
    EARLY = auto()  # its state is too large


@dataclass(frozen=True, slots=True)
class WindowInvoke:
    """What an invocation says about its window; `state` is JSON."""

    window: Window
    state: bytes
    final: bool
    terminated_early: bool


@dataclass(slots=True)
class OpenWindow:
    window: Window
    state: bytes = EMPTY_STATE

    def to_plain(self) -> dict[str, Any]:
        return {"start_s": self.window.start_s, "end_s": self.window.end_s, "state": self.state.decode()}


def open_windows(plain: Mapping[str, Mapping[str, Any]]) -> dict[str, OpenWindow]:
    """The opposite of `to_plain`, by shard."""
    return {
        shard_id: OpenWindow(Window(int(each["start_s"]), int(each["end_s"])), str(each["state"]).encode())
        for shard_id, each in plain.items()
    }


def window_of(record: StreamRecord, length_s: int) -> Window:
    start_s = record.arrived_at_ms // 1000 // length_s * length_s
    return Window(start_s, start_s + length_s)


def state_of(payload: bytes) -> bytes | None:
    """The text of the answer's `state`, as it stands there; None if it is no object, which makes it a failure.

    It goes into the next event unread: parsed and written again, 1e400 would be Infinity and 1.10 would be 1.1.
    """
    try:
        text = payload.decode("utf-8-sig")
        state = _text_of_member("state", text) if isinstance(_JSON.decode(text), dict) else None
        return state.encode() if state is not None and state.startswith("{") else None
    except (ValueError, RecursionError):
        return None


_JSON = JSONDecoder(parse_constant=not_json, parse_int=str, parse_float=str)
_BEFORE_NAME = pattern(r"[\s{,]*")
_BEFORE_VALUE = pattern(r"[\s:]*")


def _text_of_member(name: str, text: str) -> str | None:
    """`text` is a valid JSON object; of several members of a name the last one counts, as with most parsers."""
    found = None
    place = _behind(_BEFORE_NAME, text, 0)
    while text[place] != "}":
        member, place = _JSON.raw_decode(text, place)
        start = _behind(_BEFORE_VALUE, text, place)
        _, end = _JSON.raw_decode(text, start)
        if member == name:
            found = text[start:end]
        place = _behind(_BEFORE_NAME, text, end)
    return found


def _behind(skipped: Pattern[str], text: str, place: int) -> int:
    match = skipped.match(text, place)
    return match.end() if match else place


def _iso(time_s: int) -> str:
    return f"{_EPOCH + timedelta(seconds=time_s):%Y-%m-%dT%H:%M:%SZ}"


class ShardWindows:
    """The windows of one shard, which has one lane. `open_windows` is the mapping's, by shard."""

    def __init__(
        self,
        open_windows: dict[str, OpenWindow],
        shard_id: str,
        *,
        length_s: int,
        idle_close_s: float,
        state_bytes_max: int,
    ) -> None:
        self._open_windows = open_windows
        self._shard_id = shard_id
        self._length_s = length_s
        self._idle_close_s = idle_close_s
        self._state_bytes_max = state_bytes_max

    @property
    def open(self) -> OpenWindow | None:
        return self._open_windows.get(self._shard_id)

    @property
    def state(self) -> bytes:
        return self.open.state if self.open else EMPTY_STATE

    @property
    def state_too_large(self) -> bool:
        return len(self.state) > self._state_bytes_max

    def next_window(self, first: StreamRecord) -> Window:
        """The window of a batch that begins with this record."""
        if self.open is not None and first.arrived_at_ms < self.open.window.end_s * 1000:
            return self.open.window
        return window_of(first, self._length_s)

    def front(self, records: Sequence[StreamRecord], limit: int) -> tuple[int, bool]:
        """How many of the queue's first `limit` records are one window's, and whether a later window's is next."""
        end_ms = self.next_window(records[0]).end_s * 1000
        for place in range(min(limit, len(records))):
            if records[place].arrived_at_ms >= end_ms:
                return place, True
        return min(limit, len(records)), False

    def ending(self, queue: Sequence[StreamRecord], *, ended: bool, caught_up_s: float) -> Ending | None:
        """Whether the open window ends before anything of the `queue` is sent.

        `ended`: the shard has; `caught_up_s`: when the shard was last read to its tip.
        """
        if self.open is None:
            return None
        if self.state_too_large:
            return Ending.EARLY
        window = self.open.window
        if queue:
            over = self.next_window(queue[0]) != window
        else:
            over = ended or caught_up_s >= window.end_s + self._idle_close_s
        return Ending.OVER if over else None

    def enter(self, window: Window) -> None:
        """A batch of this window is about to be sent."""
        if self.open is None:
            self._open_windows[self._shard_id] = OpenWindow(window)

    def take(self, state: bytes) -> None:
        """The function has made progress."""
        if self.open is not None:
            self.open.state = state

    def close(self) -> None:
        self._open_windows.pop(self._shard_id, None)

    def invoke(self, window: Window, ending: Ending | None) -> WindowInvoke:
        return WindowInvoke(window, self.state, ending is not None, ending is Ending.EARLY)
