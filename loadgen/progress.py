"""SHELL: what a waiting person sees on stderr: a live bar (rich) on a terminal, a plain line now and then elsewhere."""

import sys

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from loadgen.metrics import Turn

PLAIN_EVERY_S = 5.0


class Progress:
    """A context manager; `sending` and `draining` are called as often as one likes."""

    def __init__(self, total_events: int | None) -> None:
        self._total = total_events
        console = Console(stderr=True)
        self._bar: Bar | None = None
        if console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[text]}"),
                TimeElapsedColumn(),
            )
            self._bar = Bar(*columns, console=console)
            self._task = self._bar.add_task("sending", total=total_events, text="")
        self._plain_s = 0.0

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def sending(self, now_s: float, turn: Turn) -> None:
        rate = turn.acknowledged / now_s if now_s > 0 else 0.0
        text = f"{turn.acknowledged:,} acknowledged ({rate:,.0f}/s), {turn.waiting:,} waiting"
        if turn.late:
            text += f", {turn.late:,} sent late"
        if turn.throttled:
            text += f", {turn.throttled:,} throttled attempts"
        if other := turn.failed_attempts - turn.throttled:
            text += f", {other:,} {'other ' if turn.throttled else ''}failed attempts"
        self._show("sending", text, turn.acknowledged, self._total, max(0.0, now_s))

    def say(self, text: str) -> None:
        """Something that happened once."""
        if self._bar:
            self._bar.console.print(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def looked(self, windows: int, found: int) -> None:
        """What the tables have before anything is sent; said once."""
        text = f"before the load the table has {found:,} events in the {windows:,} windows of these events"
        self.say(text)

    def draining(self, now_s: float, found: int, expected: int) -> None:
        """`now_s` counts from the start of the draining."""
        if found == expected:
            self._plain_s = 0.0
        self._show("processing", f"{found:,} of {expected:,} found in the tables", found, expected, now_s)

    def _show(self, what: str, text: str, done: int, total: int | None, now_s: float) -> None:
        if self._bar:
            self._bar.update(self._task, description=what, text=text, completed=done, total=total)
        elif now_s < self._plain_s or now_s - self._plain_s >= PLAIN_EVERY_S or done == total:
            self._plain_s = now_s
            print(f"{what:<10} {now_s:6.1f} s  {text}", file=sys.stderr, flush=True)
