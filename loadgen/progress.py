"""SHELL: what a waiting person sees on stderr: a live view (rich) on a terminal, plain lines elsewhere."""

import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext

from rich import box
from rich.console import Console, Group
from rich.live import Live as Screen
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from loadgen.observing.watch import Watch
from loadgen.outcome.metrics import Turn
from loadgen.showing.live import Live
from loadgen.showing.moving import BARS, PLAIN_BARS, bars

PLAIN_EVERY_S = 5.0
LOOKS_EVERY_S = 1.0  # at the target, for the live view; for plain lines as often as they come
FRAMES_PER_S = 2
BARS_MAX, BESIDE_BARS, NOTES_FROM = 60, 94, 56  # characters


class Progress:
    """A context manager; `sending` and `draining` are called as often as one likes.

    `watch`: looks at the target meanwhile; it is started with the first turn of the load, and stopped at the end.
    """

    def __init__(self, total_events: int | None, watch: Watch | None = None, console: Console | None = None) -> None:
        self._watch = watch
        self._lock: AbstractContextManager[object] = nullcontext() if watch is None else watch.lock
        self._live = Live(total_events, watch.seen if watch else None)
        self._console = console or Console(stderr=True)
        self._screen: Screen | None = None
        self._sent_s = 0.0
        self._plain_s, self._is_told = 0.0, False
        self._is_drawn, self._notice = False, ""
        if self._console.is_terminal:
            text = TextColumn("{task.fields[text]}")
            beside = (TextColumn("{task.description}"), BarColumn(), text, TimeElapsedColumn())
            self._bar = Bar(*(beside if self._console.width >= NOTES_FROM else (text,)), console=self._console)
            self._task = self._bar.add_task("starting", total=total_events, text="")
            self._screen = Screen(
                console=self._console, get_renderable=self._frame, refresh_per_second=FRAMES_PER_S, transient=False
            )

    def __enter__(self) -> "Progress":
        if self._screen:
            self._screen.start()
            self._is_drawn = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._watch:
            self._watch.stop()
        if self._screen:
            self._screen.stop()
            self._is_drawn = False

    def interrupted(self, text: bytes) -> None:
        """What a signal's handler has to say: a line of the picture while there is one, which nothing else may write
        into; it is drawn with the next frame. Else it goes to stderr at once."""
        if self._is_drawn:
            self._notice = text.decode().strip()
        else:
            os.write(2, text)

    def sending(self, now_s: float, turn: Turn) -> None:
        """`now_s` counts from the schedule's 0, and may be below it."""
        if self._watch and now_s >= 0:
            self._watch.start(time.time() - now_s, LOOKS_EVERY_S if self._screen else PLAIN_EVERY_S)
        self._sent_s = max(self._sent_s, now_s)  # in the end it is that of the last answer, which is past
        with self._lock:
            self._live.sent(now_s, turn)
        self._show(self._sent_s, is_last=turn.acknowledged == self._live.total_events)

    def draining(self, now_s: float, found: int, expected: int) -> None:
        """`now_s` counts from the start of the draining."""
        with self._lock:
            self._live.drained(self._sent_s + now_s, found, expected)
        self._show(now_s, is_last=found == expected)

    def say(self, text: str) -> None:
        """Something that happened once."""
        if self._screen:
            self._console.print(text, highlight=False, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def looked(self, windows: int, found: int) -> None:
        """What the tables have before anything is sent; said once."""
        self.say(f"before the load the table has {found:,} events in the {windows:,} windows of these events")

    def _show(self, now_s: float, *, is_last: bool) -> None:
        if self._screen:
            return  # it draws itself
        is_new = is_last and not self._is_told
        if now_s < self._plain_s or now_s - self._plain_s >= PLAIN_EVERY_S or is_new:
            self._plain_s, self._is_told = now_s, is_last
            with self._lock:
                line = self._live.line()
            print(f"{self._live.phase:<10} {now_s:6.1f} s  {line}", file=sys.stderr, flush=True)

    def _frame(self) -> Group:
        """One picture; drawn in rich's thread."""
        with self._lock:
            rows = self._live.rows()
        done, of, what = self._live.progress
        text = f"{done:,}{'' if of is None else f' of {of:,}'} {what}"
        self._bar.update(self._task, description=self._live.phase, text=text, completed=done, total=of)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=False)
        width = max(0, min(BARS_MAX, self._console.width - BESIDE_BARS))
        table.add_column("", style="bold")
        table.add_column("now", justify="right", min_width=14)
        if width:
            table.add_column(f"latest {width} s", min_width=width, max_width=width, no_wrap=True)
        has_notes = self._console.width >= NOTES_FROM
        if has_notes:
            table.add_column("", overflow="fold")
        drawn = BARS if (self._console.encoding or "").lower().startswith("utf") else PLAIN_BARS
        for row in rows:
            latest = [Text(bars(row.latest, width, drawn), style="cyan")] if width else []
            style = "yellow" if row.is_bad else "dim"
            notes = [Text(row.note, style=style)] if has_notes else []
            table.add_row(row.what, row.now, *latest, *notes)
        return Group(self._bar, table, *([Text(self._notice, style="bold yellow")] if self._notice else []))
