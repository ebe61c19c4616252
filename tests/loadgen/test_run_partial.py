"""A load that did not come to its end, or whose file is not its own, says so and does not pass."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.ops.errors import CommandError
from loadgen.sending.sender import Due
from tests.loadgen.test_run import COUNT, load, schedule
from tests.loadgen.test_run_ends import at_first_reading, put_all
from tests.support.deployed import Deployed


def test_a_load_that_offered_less_than_its_schedule_is_partial(
    deployed: Deployed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_all(deployed)
    events = (event for event in islice(schedule(), COUNT - 3))
    status, document = load(deployed, tmp_path, events)
    assert (status, document["partial"], document["passed"]) == (3, True, False)
    assert f"3 of the {COUNT} events of the schedule are not among those offered" in document["problem"]
    assert document["problem"] in capsys.readouterr().err


def test_one_strange_refusal_at_the_beginning_does_not_end_a_load(deployed: Deployed, tmp_path: Path) -> None:
    calls = []

    def refuse_once(**_: object) -> SimpleNamespace | None:
        calls.append(1)
        if len(calls) > 1:
            return None
        return SimpleNamespace(status_code=400, headers={"Content-Type": "text/html"}, content=b"<html>bad</html>")

    put_all(deployed)
    put = deployed.connection.client("kinesis", attempts=1)
    put.meta.events.register_first("before-send.kinesis.PutRecords", refuse_once)
    spread = (event._replace(due_s=number * 0.02) for number, event in enumerate(schedule()))
    numbers = load(deployed, tmp_path, spread)[1]["numbers"]
    assert (numbers["events_offered"], len(calls) > 2) == (COUNT, True)
    assert 0 < numbers["events_failed"] < COUNT


def test_a_second_load_into_the_same_folder_is_refused_while_the_first_goes_on(
    deployed: Deployed, tmp_path: Path
) -> None:
    put_all(deployed)
    refused: list[CommandError] = []

    def second_meanwhile() -> Iterator[Due]:
        yield from schedule()
        with pytest.raises(CommandError, match="another load is writing there") as raised:
            load(deployed, tmp_path, schedule())
        refused.append(raised.value)

    status, document = load(deployed, tmp_path, second_meanwhile())
    assert (status, document["numbers"]["events_acknowledged"]) == (0, COUNT)
    assert [error.exit_status for error in refused] == [2]
    assert load(deployed, tmp_path, schedule())[0] == 0


def test_a_results_file_that_something_else_has_emptied_fails_the_load(
    deployed: Deployed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_all(deployed)
    at_first_reading(deployed, lambda: os.truncate(tmp_path / "results.jsonl", 0))
    status, document = load(deployed, tmp_path, schedule())
    assert (status, document["partial"]) == (1, True)
    assert f"it has 0 of {COUNT} acknowledged events" in document["problem"]
    assert document["problem"] in capsys.readouterr().err
