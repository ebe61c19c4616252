"""What is said of a load's end: what drained and since when, what is lost, and what is only still in the stream."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.ops.errors import CommandError
from loadgen.run import Load
from loadgen.target.function_log import Batch
from loadgen.target.observation import Observation
from loadgen.target.series import CLOUDWATCH, Series, of_function
from tests.loadgen.test_run import COUNT, load, schedule
from tests.support.deployed import Deployed


def put_all(deployed: Deployed) -> None:
    for event in schedule():
        truth = event.truth
        item = {"pk": {"S": truth.pk}, "sk": {"S": truth.window}, "ids": {"SS": [truth.digest]}, "events": {"N": "1"}}
        item |= {name: {"N": str(amount)} for name, amount in truth.amounts.items()}
        deployed.client("dynamodb").put_item(TableName="results", Item=item)


def at_first_reading(deployed: Deployed, do: Callable[[], None]) -> None:
    calls = []

    def once(**_: object) -> None:
        calls.append(1)
        if len(calls) == 1:
            do()

    deployed.client("dynamodb").meta.events.register_first("before-send.dynamodb.BatchGetItem", once)


def see(monkeypatch: pytest.MonkeyPatch, observe: Callable[[], Observation]) -> None:
    monkeypatch.setattr(Load, "_observe", lambda _: observe())


def test_what_comes_during_the_first_reading_of_the_tables_has_drained_too(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed_s: list[float] = []

    def commit() -> None:
        put_all(deployed)
        committed_s.append(time.time() + 1.0)

    def observe() -> Observation:
        batches = [
            Batch(int(committed_s[0] * 1000) - 60_000, 9, 0, 9, 9, 1.0, 1, 1.0, (), 1.0),
            Batch(int(committed_s[0] * 1000), 31, 0, 31, 31, 1.0, 1, 1.0, (), 1.0),
        ]
        return Observation(series=of_function(batches, (), committed_s[0] - 100, None), batches=batches)

    at_first_reading(deployed, commit)
    see(monkeypatch, observe)
    status, document = load(deployed, tmp_path, schedule())
    numbers = document["numbers"]
    assert (status, numbers["drained_events"]) == (0, 31)
    assert numbers["drain_s"] >= 1.0
    assert numbers["drain_events_per_s"] == pytest.approx(31 / numbers["drain_s"], rel=0.01)


def test_without_the_functions_log_how_many_drained_is_not_known(deployed: Deployed, tmp_path: Path) -> None:
    at_first_reading(deployed, lambda: put_all(deployed))
    numbers = load(deployed, tmp_path, schedule())[1]["numbers"]
    assert (numbers["drained_events"], numbers["drain_events_per_s"]) == (None, None)
    assert numbers["drain_s"] > 0


def test_events_of_a_function_that_never_ran_are_still_in_the_stream_and_not_lost(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    throttles = Series("lambda_throttles", "", "sum", f"{CLOUDWATCH} AWS/Lambda Throttles", 10, ((0, 159.0),))
    see(monkeypatch, lambda: Observation(series=[throttles]))
    status, document = load(deployed, tmp_path, schedule())
    ledger = document["ledger"]
    assert (status, document["partial"]) == (1, False)
    assert (ledger["lost"], ledger["not_yet_found"], ledger["balanced"]) == (0, COUNT, False)
    assert document["numbers"]["drain_s"] is None
    shown = capsys.readouterr().out
    assert "still in the stream (the function ran 0 times, Lambda refused it 159 times)" in " ".join(shown.split())
    assert "lost" not in shown
    assert "rules" not in shown


def test_a_load_that_finds_nothing_has_not_drained(deployed: Deployed, tmp_path: Path) -> None:
    numbers = load(deployed, tmp_path, schedule())[1]["numbers"]
    assert (numbers["lost"], numbers["drain_s"], numbers["drained_events"]) == (COUNT, None, None)


@pytest.mark.parametrize("table", ["results", "quarantine"])
def test_without_its_tables_nothing_is_sent(deployed: Deployed, tmp_path: Path, table: str) -> None:
    deployed.client("dynamodb").delete_table(TableName=table)
    with pytest.raises(CommandError, match=f"table {table} .*deploy") as raised:
        load(deployed, tmp_path / "out", schedule())
    assert raised.value.exit_status == 3
    assert not (tmp_path / "out").exists()
