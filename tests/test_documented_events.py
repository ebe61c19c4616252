"""docs/events.md says what the code enforces: every reason, every limit, and an example that is an event."""

import re
from pathlib import Path

from processor.core import limits
from processor.core.errors import Reason
from processor.core.events import parse
from processor.core.systemic import RAISED_MIN

PAGE = (Path(__file__).parents[1] / "docs/events.md").read_text()


def test_every_reason_is_explained_and_no_other() -> None:
    table = PAGE.split("## What is refused")[1]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert {word for row in rows for word in re.findall(r"`(\w+)`", row.split("|")[1])} == {
        str(each) for each in Reason
    }


def test_the_limits_are_those_of_the_code() -> None:
    for row in (
        f"| `id` | yes | string, 1 to {limits.ID_BYTES_MAX} bytes |",
        f"| `source` | yes | string, 1 to {limits.SOURCE_BYTES_MAX:,} bytes |",
        f"| `type` | yes | string, 1 to {limits.TYPE_BYTES_MAX} bytes |",
        f"string, 1 to {limits.SUBJECT_BYTES_MAX} bytes; the key",
        f"years {limits.YEAR_FIRST} to {limits.YEAR_END - 1}",
        f"{limits.EVENT_BYTES_MAX:,} bytes, {limits.DEPTH_MAX} levels",
        f"at most {limits.MEASURE_INTEGER_DIGITS} digits before and {limits.MEASURE_FRACTION_DIGITS} after",
        f"at least {RAISED_MIN} distinct events",
    ):
        assert row in PAGE


def test_the_example_is_an_event() -> None:
    example = PAGE.split("    {", 1)[1].split("}}", 1)[0]
    event = parse(("{" + example + "}}").encode())
    assert (event.source, event.id, event.subject) == ("shop/7", "42", "customer-9")
