"""SHELL (no I/O of its own): times that users type."""

from datetime import UTC, datetime

from infra.ops.errors import USAGE, CommandError


def moment(text: str | None, option: str) -> datetime | None:
    """An ISO 8601 date or time; without an offset it is UTC. Raises CommandError (usage) naming the option."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{option} {text}: a date or time such as 2026-11-23 or 2026-11-23T09:00:00Z is needed"
        raise CommandError(message, USAGE) from error
    try:
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except OverflowError as error:
        message = f"{option} {text}: in UTC this is outside the years 1 to 9999: use a time within them"
        raise CommandError(message, USAGE) from error


def seconds_text(when: datetime) -> str:
    """RFC 3339, whole seconds, `Z`: the form of a window's start. Fractions are cut."""
    return f"{when:%Y-%m-%dT%H:%M:%SZ}".rjust(20, "0")  # the year has four digits, whatever the C library does


def milliseconds_text(when: datetime) -> str:
    """RFC 3339, milliseconds, `Z`: the form of an arrival time. Finer fractions are cut."""
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z".rjust(24, "0")
