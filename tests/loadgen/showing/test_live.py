"""What a running load shows is what sender, drain and watch know, in numbers that add up."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.outcome.histogram import Histogram
from loadgen.outcome.metrics import SECOND_BITS, THROTTLED, Metrics, Turn, together
from loadgen.outcome.results import PutResult
from loadgen.showing.live import Live
from loadgen.showing.moving import BARS, PLAIN_BARS, Moving, bars
from loadgen.target.evidence import Capacity
from loadgen.target.seen import KEPT_S, Seen
from loadgen.target.series import Series


def series(name: str, *points: tuple[int, float]) -> Series:
    return Series(name, "", "sum", "a test", 1, points)


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 1000)), max_size=30))
def test_the_seconds_of_a_growing_count_add_up_to_it(steps: list[tuple[float, int]]) -> None:
    moving, now_s, total = Moving(1_000), 0.0, 0
    for wait_s, more in steps:
        now_s, total = now_s + wait_s, total + more
        moving.add(now_s, total)
    moving.add(int(now_s) + 1.0, total)
    assert sum(moving.seconds) == pytest.approx(total)
    assert len(moving.seconds) == int(now_s) + 1
    assert moving.per_s >= 0


def test_a_rate_is_that_of_the_last_seconds() -> None:
    moving = Moving()
    for tick in range(41):
        moving.add(tick / 4, 100 * tick if tick <= 20 else 2_000)
    assert moving.per_s == 0
    assert list(moving.seconds) == [400.0] * 5 + [0.0] * 5


@given(st.lists(st.floats(0, 1e9), max_size=50), st.integers(1, 40))
def test_a_line_of_bars_is_no_wider_than_asked_and_its_highest_is_the_highest(values: list[float], width: int) -> None:
    for characters in (BARS, PLAIN_BARS):
        drawn = bars(values, width, characters)
        assert len(drawn) == min(len(values), width)
        shown = values[-width:]
        if shown and max(shown) > 0:
            assert drawn[shown.index(max(shown))] == characters[-1]


def test_what_is_read_again_replaces_what_was_known_and_old_seconds_stay_in_the_sum() -> None:
    seen = Seen()
    seen.take([series("processed", (0, 5), (1, 7))], 0)
    seen.take([series("processed", (1, 9), (2, 1))], 1)
    seen.read_until = 4
    assert (seen.total("processed"), seen.seconds("processed", 3), seen.latest("processed")) == (15, [9, 1, 0], 1)
    seen.take([series("processed", (KEPT_S + 2, 3))], KEPT_S)
    assert seen.total("processed") == 18
    assert seen.latest("nothing") is None


def turn(acknowledged: int = 0, **more: int) -> Turn:
    latency = Histogram(SECOND_BITS)
    latency.add_all(np.array([80_000] * 98 + [210_000] * 2))
    made: dict[str, Any] = more
    return Turn(acknowledged, latency=latency)._replace(**made)


def test_several_senders_turns_are_one() -> None:
    whole = together([turn(5, late=1, waiting=2), turn(6, failed=3, throttled=4, failed_attempts=7)])
    assert whole[:6] == (11, 1, 7, 4, 2, 3)
    assert whole.offered == 11 + 3 + 2
    assert whole.latency is not None
    assert whole.latency.count == 200
    assert together([]).offered == 0


def test_a_turn_has_the_latency_of_the_latest_whole_second_and_what_was_given_up() -> None:
    metrics = Metrics(10_000)
    for at_us, failed in ((500_000, None), (1_500_000, None), (2_500_000, "DeadlineExceeded")):
        metrics.add(PutResult("k", (at_us - 100,), at_us, at_us, 1, 9, 0, 0, "s", "1", (), failed, False))
    said = metrics.turn(4)
    assert (said.acknowledged, said.failed, said.waiting, said.offered) == (2, 1, 4, 7)
    assert said.latency is not None
    assert said.latency.count == 1
    assert Metrics(0).turn(0).latency is None


def rows(live: Live) -> dict[str, tuple[str, str, bool]]:
    return {row.what: (row.now, row.note, row.is_bad) for row in live.rows()}


def under_way(**more: int) -> Live:
    target = Seen()
    target.capacity = Capacity(shards=2, parallelization_factor=4, account_concurrency=1000)
    target.take([series("processed", (0, 900), (1, 800), (2, 700)), series("concurrency", (2, 2.5))], 0)
    target.take([series("event_age_ms", (2, 1_400)), series("iterator_age_ms", (0, 700))], 0)
    target.take([series("lambda_throttles", (0, 12)), series("cold_starts", (0, 8))], 0)
    target.read_until = 3
    live = Live(10_000, target)
    for second in range(1, 5):
        live.sent(second, turn(1_000 * second, **more))
    return live


def test_every_stage_is_shown_with_its_rate_and_what_stands_in_the_way() -> None:
    shown = rows(under_way(waiting=20, late=40, throttled=6, failed_attempts=9))
    assert shown["offered"] == ("1,000 /s", "4,020 in all, 40 sent late (1.0%)", True)
    assert shown["accepted"] == ("1,000 /s", "4,000 in all, 20 waiting", False)
    assert shown["processed"] == ("750 /s", "2,400 in all, copies too", False)
    assert shown["latency p50 / p99"][0] == "80 / 209 ms"
    assert shown["concurrency"] == ("2.5 running", "8 lanes, 1,000 executions allowed", False)
    assert shown["age at the commit"] == ("1.4 s", "iterator age 0.7 s", False)
    assert shown["throttles"] == ("0 /s", "Kinesis writes 6, Lambda 12", True)
    assert shown["failures"] == ("3", "failed puts 3, cold starts 8", True)


def test_every_line_of_bars_has_one_for_each_second_however_seldom_it_is_told() -> None:
    live = Live(None)
    for now_s in (0.2, 1.1, 1.6, 5.3, 5.9):
        live.sent(now_s, turn(1))
    lengths = {
        row.what: len(row.latest) for row in live.rows() if row.what in ("offered", "accepted", "latency p50 / p99")
    }
    assert set(lengths.values()) == {5}
    live.sent(500.0, turn(1))
    assert {len(row.latest) for row in live.rows()[:3]} == {60}


def test_the_line_for_a_log_says_the_same_without_what_there_is_none_of() -> None:
    live = under_way()
    assert live.phase == "sending"
    assert live.line().startswith("4,000 of 10,000 events accepted by the stream, offered 1,000 /s, accepted 1,000 /s")
    assert "processed 750 /s" in live.line()
    assert "sent late" not in live.line()
    live.drained(6.0, 3_500, 4_000)
    assert live.phase == "processing"
    assert live.line().startswith("3,500 of 4,000 distinct events found in the tables, processed 750 /s")


def test_late_events_are_told_once_in_a_line_for_a_log() -> None:
    live = Live(100)
    live.sent(5.0, Turn(acknowledged=90, late=7))
    assert live.line().count("7 sent late") == 1
    live.drained(6.0, 50, 90)
    assert live.line().count("7 sent late") == 1


def test_a_target_that_cannot_be_looked_at_is_said_and_the_sender_is_shown() -> None:
    live = under_way()
    live.target.problem = "AccessDenied"
    assert rows(live)["target"] == ("-", "not seen: AccessDenied", True)
    assert "accepted" in rows(live)
    assert "AccessDenied" in live.line()


def test_what_the_log_has_not_said_yet_is_unknown_and_not_0() -> None:
    target = Seen()
    target.read_until = 3
    live = Live(100, target)
    live.sent(3.0, turn(90))
    shown = rows(live)
    assert (shown["processed"], shown["concurrency"][0]) == (("-", "the log says nothing yet", False), "-")
    assert "processed -, " in live.line()


def test_before_anything_is_known_nothing_is_made_up() -> None:
    live = Live(None)
    live.sent(-1.0, Turn())
    assert live.progress == (0, None, "events accepted by the stream")
    assert rows(live)["concurrency"][0] == rows(live)["latency p50 / p99"][0] == "-"
    assert rows(live)["throttles"][1] == "none"
    assert THROTTLED not in live.line()
