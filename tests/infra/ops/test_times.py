"""Times that users type: what cannot be a time is a usage error, what can be one compares as text does."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.cli import main
from infra.ops.errors import CommandError
from infra.ops.times import milliseconds_text, moment, seconds_text

OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
OUTSIDE = ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"]


@pytest.mark.parametrize("command", [["results"], ["quarantine", "list"]], ids=" ".join)
@pytest.mark.parametrize("option", ["--from", "--to"])
@pytest.mark.parametrize("text", OUTSIDE)
def test_a_time_that_does_not_exist_in_utc_is_a_usage_error(
    command: list[str], option: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, option, text]) == 2
    assert f"{option} {text}: in UTC this is outside the years 1 to 9999" in capsys.readouterr().err


@given(st.datetimes(timezones=st.one_of(st.none(), OFFSETS)))
def test_every_time_is_a_moment_or_a_usage_error(when: datetime) -> None:
    try:
        found = moment(when.isoformat(), "--from")
    except CommandError as error:
        assert error.exit_status == 2
    else:
        assert found == (when.replace(tzinfo=UTC) if when.tzinfo is None else when)


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_texts_are_in_the_order_of_their_times(one: datetime, other: datetime) -> None:
    """The year 800 begins with a zero: texts are compared in the tables."""
    assert (seconds_text(one) < seconds_text(other)) == (one.replace(microsecond=0) < other.replace(microsecond=0))
    finer, coarser = (when.replace(microsecond=when.microsecond // 1000 * 1000) for when in (one, other))
    assert (milliseconds_text(one) < milliseconds_text(other)) == (finer < coarser)
