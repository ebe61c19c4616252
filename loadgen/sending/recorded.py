"""SHELL: a recording on disk as events, read as often as one likes; what could not be read is kept for the report."""

from collections.abc import Iterator
from pathlib import Path

from infra.ops.errors import USAGE, CommandError
from loadgen.offer import recordings
from loadgen.offer.pacer import paced
from loadgen.sending import recording_file
from loadgen.sending.recording_file import FileError
from loadgen.showing.report import Unread


class Recording:
    """A file that has at least one event. Raises CommandError (usage) when it has none, and says why.

    `unread` is about the latest reading, and complete only when that has come to its end.
    """

    def __init__(self, path: Path, file_format: str | None) -> None:
        self.path, self.unread = path, Unread()
        try:
            found = file_format or recordings.guess(path.name, recording_file.first_line(path))
        except FileError as error:
            raise CommandError(str(error), USAGE) from error
        if found is None:
            names = ", ".join(recordings.FORMATS)
            why = f"{path}: its format cannot be told from its name or first line: use --format ({names})"
            raise CommandError(why, USAGE)
        self.format = found
        if next(self.events(), None) is None:
            raise CommandError(self._no_event(), USAGE)

    def events(self) -> Iterator[recordings.Recorded]:
        """Read the file. A file that turns out damaged ends here: its `unread.broken` then says where."""
        self.unread.clear()
        try:
            for event in recordings.read(self.format, recording_file.lines(self.path), self.path.name):
                if isinstance(event, recordings.Recorded):
                    yield event
                else:
                    self.unread.add(event.line, event.why)
        except (FileError, recordings.FormatError) as error:
            self.unread.broken = str(error)

    def lasts_s(self, speed: float) -> float:
        """How long its own times go on, `speed` times as fast."""
        return max(paced((event.time_s for event in self.events()), speed), default=0.0)

    def _no_event(self) -> str:
        if self.unread.broken:
            return self.unread.broken
        if not self.unread.lines:
            return f"{self.path}: there is no event in it"
        line, why = self.unread.first[0]
        return f"{self.path}: no line of it is {self.format}; line {line}: {why}"
