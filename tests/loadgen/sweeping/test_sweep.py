"""A sweep over a running stack: what it changes it puts back, whatever ends it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.ops.outputs import Connection, Target
from loadgen.observing.machine import Busy
from loadgen.observing.readback import find_stack
from loadgen.sweep.quotas import Point
from loadgen.sweep.resharding import UPDATES_PER_DAY_MAX
from loadgen.sweeping.stack import PAUSED_HANDLER, Original, Tuner
from tests.support.loads import Load, limit, reshard
from tests.support.local_stack import Up, until

LOADGEN = str(Path(sys.executable).parent / "loadgen")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    stack = Up(tmp_path_factory.mktemp("stack") / "stderr")
    yield stack
    assert stack.stop() == 0


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Up]:
    """A stack of its own: a stream's shards can be updated ten times a day, and every sweep does it twice or more."""
    stack = Up(tmp_path / "stderr")
    yield stack
    assert stack.stop() == 0


def tuner(up: Up) -> Tuner:
    connection = Connection(Target(up.endpoint_url, None, "stream-processor"))
    return Tuner(connection, find_stack(connection), lambda: False)


def found(up: Up) -> Original:
    return tuner(up).original


@pytest.mark.integration
def test_every_setting_of_a_point_reaches_the_stack_and_is_put_back(up: Up) -> None:
    """From two shards to five in steps of at most the double, and back in steps of at least the half."""
    ours = tuner(up)
    ours.apply(Point(5, 2, 77, 3, None, 100, 40))
    changed = found(up)
    assert (changed.shards, changed.parallelization_factor, changed.batch_size) == (5, 2, 77)
    assert changed.reserved_concurrency == 3
    assert changed.handler == PAUSED_HANDLER
    assert changed.environment == {**ours.original.environment, "PAUSE_MS": "100"}
    assert changed.table_limits is not None
    assert changed.table_limits["write_units_per_s"] == 40
    assert ours.restore() == []
    assert found(up) == ours.original


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_sweep_that_is_told_to_end_puts_the_stack_back_and_writes_what_it_has(
    up: Up, tmp_path: Path, number: signal.Signals
) -> None:
    before = found(up)
    out = tmp_path / "out"
    grid = ("--shards", "3", "--batch-size", "50", "--reserved-concurrency", "2", "--function-latency-ms", "10")
    command = [LOADGEN, "sweep", "--endpoint-url", up.endpoint_url, *grid, "--rate-max", "20", "--out", str(out)]
    with (tmp_path / "stderr").open("w") as stderr:
        sweep = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
    try:
        until(lambda: found(up).handler == PAUSED_HANDLER, "the point is applied")
        sweep.send_signal(number)
        assert sweep.wait(30) == 130
    finally:
        sweep.kill()
    assert found(up) == before
    document = json.loads((out / "sweep.json").read_text())
    assert document["schema"] == "loadgen-sweep/1"
    assert (document["partial"], document["problem"], document["restored"]) == (True, "interrupted", True)
    assert document["points"] == []
    assert "No point was measured: interrupted." in (out / "sweep.html").read_text()
    assert "Traceback" not in (tmp_path / "stderr").read_text()


def run_sweep(up: Up, out: Path, options: str, within_s: float = 60) -> "subprocess.CompletedProcess[str]":
    command = [LOADGEN, "sweep", "--endpoint-url", up.endpoint_url, *options.split(), "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, timeout=within_s, check=False)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--shards 1,64", "--shards 1,64 needs 12 calls of UpdateShardCount from the stream's own 2 shards and back"),
        ("--shards 3 --function-latency-ms 0,60000", "--function-latency-ms 60000: the timeout is 60 s"),
    ],
)
def test_a_grid_that_cannot_be_measured_to_its_end_is_refused_before_anything_is_touched(
    up: Up, tmp_path: Path, options: str, said: str
) -> None:
    """Not after the points that could be measured, which may have taken hours."""
    before = found(up)
    ran = run_sweep(up, tmp_path / "out", options)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in ran.stderr
    assert "point 1" not in ran.stderr
    assert not (tmp_path / "out").exists()
    assert found(up) == before


def use_up_the_days_updates(up: Up, left: int) -> None:
    """Somebody else changes the shards until only so many calls are left; in the end there are two or three."""
    for number in range(UPDATES_PER_DAY_MAX - left):
        reshard(up, 3 if number % 2 == 0 else 2)


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(180)
def test_a_sweep_that_others_have_left_too_few_updates_keeps_its_points_and_says_what_is_not_put_back(
    fresh: Up, tmp_path: Path
) -> None:
    use_up_the_days_updates(fresh, left=1)
    before = found(fresh)
    words = "--shards 3,5,9 --batch-size 50 --function-latency-ms 10 --point-duration 5 --probes 1 --rate-max 50"
    ran = run_sweep(fresh, tmp_path, words, 150)
    assert (before.shards, ran.returncode) == (3, 3), ran.stderr
    assert "updated 4 times" in ran.stderr
    document = json.loads((tmp_path / "sweep.json").read_text())
    assert [one["point"]["shards"] for one in document["points"]] == [3, 5]
    assert (document["partial"], document["restored"]) == (True, False)
    problem = document["problem"]
    assert "from 5 to 9 shards is refused: LimitExceededException" in problem
    assert "not restored: the shards: the stream stream-processor-events has 5 shards and not its 3" in problem
    assert "--target-shard-count 3`" in problem
    assert f"loadgen: {problem}" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "NOT complete: UpdateShardCount" in (tmp_path / "sweep.html").read_text()
    assert found(fresh) == before._replace(shards=5)


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(500)
@pytest.mark.parametrize(
    ("limited_by", "options"),
    [
        ("reserved concurrency", "--reserved-concurrency 2 --function-latency-ms 1000 --overdrive 1.8"),
        ("table write capacity", "--table-write-units 100"),
    ],
)
def test_the_sustained_rate_agrees_with_the_quotas_arithmetic_within_five_per_cent(
    fresh: Up, tmp_path: Path, limited_by: str, options: str
) -> None:
    """Both ends of the bracket are on the right side of it, so that a busy machine can make the bracket wider only."""
    common = "--shards 1 --parallelization-factor 4 --batch-size 20 --aggregate off --keys 300000 --start 1.03"
    ran = run_sweep(fresh, tmp_path, f"{common} {options} --point-duration 20 --probes 8", 480)
    assert ran.returncode == 0, ran.stderr
    (point,) = json.loads((tmp_path / "sweep.json").read_text())["points"]
    assert point["limited_by"] == limited_by, ran.stderr
    assert point["sustained_events_per_s"] <= 1.05 * point["quota"]["events_per_s"], ran.stderr
    assert point["too_much_events_per_s"] >= 0.95 * point["quota"]["events_per_s"], ran.stderr


@pytest.mark.slow
@pytest.mark.integration
def test_the_functions_estimated_write_units_are_those_that_the_table_takes(up: Up, tmp_path: Path) -> None:
    """Many subjects make new items, few make pages of them that grow and are refused: either way the same count."""
    for keys in ("500", "5"):
        table = f"{up.ready['stack_name']}-results"
        limit(up, table, "PUT", write_units_per_s=100_000)
        try:
            load = Load(up, tmp_path / keys, "--rate", "150", "--duration", "5", "--aggregate", "off", "--keys", keys)
            report = load.balanced()
            taken = limit(up, table, "GET")["counts"]["write_allowed"]
        finally:
            limit(up, table, "DELETE")
        assert report["numbers"]["write_units"] == taken > 0


def test_the_machine_is_as_busy_as_its_idle_time_says() -> None:
    times = iter([(100, 1000), (150, 1200)])
    assert Busy(lambda: next(times)).share() == 0.75
    assert Busy(lambda: None).share() is None
