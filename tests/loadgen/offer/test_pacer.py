"""The schedule: ascending, exactly as many events as it promises, at the rate the profile states."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.offer.pacer import PROFILES, paced, schedule, segments, total_events

PROFILE = st.sampled_from(PROFILES)
RATE = st.floats(0.01, 400.0)
DURATION_S = st.floats(0.01, 20.0)


@given(PROFILE, RATE, DURATION_S)
def test_a_schedule_ascends_and_has_exactly_the_events_it_promises(
    profile: str, rate: float, duration_s: float
) -> None:
    due = list(schedule(profile, rate, duration_s))
    assert len(due) == total_events(profile, rate, duration_s)
    assert all(before <= after for before, after in pairwise(due))
    assert all(0 <= due_s <= duration_s for due_s in due)


@given(PROFILE, RATE, DURATION_S, st.floats(0, 1))
def test_as_many_events_are_due_by_any_moment_as_the_profiles_rate_adds_up_to(
    profile: str, rate: float, duration_s: float, share: float
) -> None:
    moment_s = share * duration_s
    wanted = 0.0
    for segment in segments(profile, rate, duration_s):
        until_s = min(segment.end_s, moment_s)
        if until_s > segment.start_s:
            slope = (segment.last - segment.first) / (segment.end_s - segment.start_s)
            at_until = segment.first + slope * (until_s - segment.start_s)
            wanted += (until_s - segment.start_s) * (segment.first + at_until) / 2
    found = sum(due_s <= moment_s for due_s in schedule(profile, rate, duration_s))
    # The first event is due at once, and no event is due for the last fraction of one.
    assert min(wanted, total_events(profile, rate, duration_s)) - 1e-3 <= found <= wanted + 1 + 1e-3


@given(PROFILE, RATE, DURATION_S)
def test_segments_have_no_gaps_and_never_pass_the_rate(profile: str, rate: float, duration_s: float) -> None:
    parts = segments(profile, rate, duration_s)
    assert parts[0].start_s == 0
    assert math.isclose(parts[-1].end_s, duration_s)
    assert all(before.end_s == after.start_s for before, after in pairwise(parts))
    highest = max(max(part.first, part.last) for part in parts)
    assert math.isclose(highest, rate)


def test_a_constant_rate_is_evenly_spaced() -> None:
    assert list(schedule("constant", 4, 2)) == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75]


@pytest.mark.parametrize(
    ("profile", "events"), [("constant", 1000), ("ramp", 500), ("step", 625), ("spike", 360), ("sine", 500)]
)
def test_every_profile_has_its_own_share_of_the_full_rate(profile: str, events: int) -> None:
    assert total_events(profile, 100, 10) == events


@pytest.mark.parametrize(("rate", "duration_s"), [(0, 1), (-1, 1), (1, 0), (math.nan, 1), (1, math.inf), (math.inf, 1)])
def test_a_rate_or_duration_that_is_no_positive_number_is_refused(rate: float, duration_s: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        segments("constant", rate, duration_s)


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="constant, ramp, step, spike, sine"):
        segments("square", 1, 1)


@given(st.lists(st.floats(-1e9, 1e9), max_size=50), st.floats(0.1, 1000))
def test_a_recording_keeps_its_order_whatever_its_clock_did(times_s: list[float], speed: float) -> None:
    due = list(paced(iter(times_s), speed))
    assert len(due) == len(times_s)
    assert due[:1] == [0.0] * bool(times_s)
    assert all(before <= after for before, after in pairwise(due))


def test_a_recordings_own_pace_is_divided_by_the_speed() -> None:
    assert list(paced(iter([100.0, 110.0, 105.0, 140.0]), 10)) == [0, 1, 1, 4]
    assert list(paced(iter([100.0, 110.0]), None)) == [0, 0]
