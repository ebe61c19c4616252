"""`loadgen report`: whatever the files hold, it is a report or a sentence; never a traceback."""

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadgen import cli
from loadgen.billing import current_prices
from loadgen.outcome.ledger import Expectations, Findings, settle
from loadgen.outcome.metrics import Metrics
from loadgen.outcome.results import PutResult, ResultsError, decode, encode
from loadgen.showing import report
from loadgen.showing.thresholds import check, parse
from loadgen.target.cost import Puts, cost
from loadgen.target.evidence import Capacity
from loadgen.target.observation import Observation
from loadgen.target.series import LOG, Series

RESULTS = [
    PutResult("lane", (0, 500_000), 510_000, 1_200_000, 2, 512, 1, 0, "s", "49", ("T",), None, False, ((9, "s"),)),
    PutResult("lane", (700_000,), None, 700_000, 0, 301, 0, 0, None, None, (), "bad_partition_key", False),
]
LINES = [json.loads(encode(result)) for result in RESULTS]


SERIES = Series("invocations", "1", "sum", LOG, 1, ((0, 3.0), (1, 2.0)))

DRAWN = [
    Series(name, "1", statistic, LOG, 1, ((0, 3.0), (1, 2.0)))
    for name, statistic in (
        ("processed", "sum"), ("concurrency", "mean"), ("batch_fill", "mean"), ("event_age_ms", "max"),
        ("write_units", "sum"), ("write_throttles a", "sum"), ("write_throttles b", "sum"),
    )
]  # fmt: skip
CAPACITY = Capacity("PROVISIONED", shards=2, parallelization_factor=4, memory_mb=512, table_write_units_per_s=9)
COST = cost(current_prices(), CAPACITY, [SERIES, *DRAWN], Puts(5, 5), events=2, quarantined=1, whole_s=9.5)


def document() -> dict[str, Any]:
    """A report with something in every place."""
    metrics = Metrics(110_000)
    for result in RESULTS:
        metrics.add(result)
    unread = report.Unread()
    unread.add(3, "not JSON")
    ledger = settle(Expectations(("bytes",)), Findings())
    numbers = report.numbers(metrics, ledger, 0.5, unread)
    made = report.document(
        command=["loadgen", "run"],
        started_at="2026-11-23T09:00:00.000+00:00",
        problem="interrupted",
        configuration={"late_after_us": 110_000, "rate": "5"},
        metrics=metrics,
        ledger=ledger,
        drain_s=0.5,
        unread=unread,
        checked=check([parse("lost==0", report.known_numbers())], numbers),
        observed=Observation(CAPACITY, [SERIES, *DRAWN], missing=["metrics"], cost=COST),
    )
    found: dict[str, Any] = json.loads(json.dumps(made))
    return found


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in `value`, itself first."""
    yield place
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*place, key))


def changed(whole: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    whole = copy.deepcopy(whole)
    inside = whole
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    return whole


DOCUMENT = document()
scalars = (
    st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.sampled_from(["", "\ud800", "2026-11-23T09"])
    | st.integers() | st.sampled_from([-1, 0, 1, 2**53, 2**70, 10**400, 10**15, 1e300])
)  # fmt: skip
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def finished(folder: Path, *, report_json: str | bytes | None = None, results: str | bytes | None = None) -> None:
    """A load's files, one of them as given."""
    found = {
        "report.json": json.dumps(DOCUMENT) if report_json is None else report_json,
        "results.jsonl": "".join(encode(each) + "\n" for each in RESULTS) if results is None else results,
    }
    for name, content in found.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def again(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = cli.main(["report", str(folder)])
    return status, capsys.readouterr().err


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(list(places(DOCUMENT))), value=documents)
def test_any_value_at_any_place_of_a_report_is_a_report_or_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: tuple[Any, ...], value: Any
) -> None:
    finished(tmp_path, report_json=json.dumps(changed(DOCUMENT, place, value)))
    status, said = again(tmp_path, capsys)
    assert status in (0, 1, 2)
    assert (said == "") == (status != 2)
    assert said.count("\n") <= 1


def test_lines_that_are_not_all_of_the_reports_are_refused_and_its_own_figures_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = json.dumps({**DOCUMENT, "partial": False, "problem": None})
    finished(tmp_path, report_json=whole, results=encode(RESULTS[1]) + "\n")
    status, said = again(tmp_path, capsys)
    assert status == 2
    assert "report.json has 2 acknowledged and 1 failed events, results.jsonl 0 and 1: they are not of one load" in said
    assert (tmp_path / "report.json").read_text() == whole


def test_a_report_whose_lines_ended_too_early_keeps_the_figures_that_it_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished(tmp_path, results=encode(RESULTS[1]) + "\n")
    assert again(tmp_path, capsys) == (1, "")
    made = json.loads((tmp_path / "report.json").read_text())
    assert (made["numbers"], made["timeline"]) == (DOCUMENT["numbers"], DOCUMENT["timeline"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(list(places(DOCUMENT))), value=documents)
def test_any_value_at_any_place_of_one_of_two_reports_is_a_comparison_or_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: tuple[Any, ...], value: Any
) -> None:
    folders = tmp_path / "a", tmp_path / "b"
    for folder, whole in zip(folders, (DOCUMENT, changed(DOCUMENT, place, value)), strict=True):
        folder.mkdir(exist_ok=True)
        finished(folder, report_json=json.dumps(whole))
    status = cli.main(["report", *map(str, folders), "--html", str(tmp_path / "page.html")])
    said = capsys.readouterr().err
    assert status in (0, 2)
    assert (said == "") == (status == 0)
    assert said.count("\n") <= 1


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(list(places(DOCUMENT))[1:]))
def test_a_report_that_lacks_something_is_a_report_or_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: tuple[Any, ...]
) -> None:
    whole = copy.deepcopy(DOCUMENT)
    inside = whole
    for key in place[:-1]:
        inside = inside[key]
    del inside[place[-1]]
    finished(tmp_path, report_json=json.dumps(whole))
    status, said = again(tmp_path, capsys)
    assert (said == "") == (status != 2)


@settings(max_examples=200, deadline=None)
@given(line=st.sampled_from(LINES), data=st.data())
def test_any_value_at_any_place_of_a_result_is_added_up_or_refused(line: dict[str, Any], data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(list(places(line))))
    text = json.dumps(changed(line, place, data.draw(documents)))
    metrics = Metrics(110_000)
    try:
        metrics.add(decode(text))
    except ResultsError as error:
        assert "\n" not in str(error)
    else:
        json.dumps(metrics.named())


def test_a_report_made_again_is_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished(tmp_path)
    assert again(tmp_path, capsys) == (1, "")
    assert json.loads((tmp_path / "report.json").read_text()) == DOCUMENT


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\n", "results.jsonl: line 1: it is not UTF-8"),
        (b"\n", "results.jsonl: line 1: "),
        (b"[" * 100_000 + b"\n", "results.jsonl: line 1: "),
        (b"9" * 5000 + b"\n", "results.jsonl: line 1: "),
        (json.dumps({**LINES[0], "scheduled_us": [0, 10**17]}).encode() + b"\n", "line 1: scheduled_us"),
    ],
    ids=["byte", "empty", "nested", "digits", "hours"],
)
def test_a_line_of_results_that_is_none_is_said_with_its_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, said: str
) -> None:
    finished(tmp_path, results=content)
    status, text = again(tmp_path, capsys)
    assert status == 2
    assert said in text


@pytest.mark.parametrize("content", [b"\xff", b"[" * 100_000, b"9" * 5000, b"null", b"[]", b'"x"', b"NaN", b""])
def test_what_is_no_report_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    finished(tmp_path, report_json=content)
    status, said = again(tmp_path, capsys)
    assert status == 2
    assert said.startswith(f"loadgen: {tmp_path}/report.json")


def test_numbers_as_a_list_are_said_with_their_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished(tmp_path, report_json=json.dumps({**DOCUMENT, "numbers": []}))
    assert again(tmp_path, capsys) == (2, f"loadgen: {tmp_path}/report.json: numbers must be an object, not a list\n")


@pytest.mark.parametrize("name", ["report.json", "results.jsonl"])
@pytest.mark.timeout(20)
def test_a_pipe_or_a_folder_in_place_of_a_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    for make in (os.mkfifo, os.mkdir):
        folder = tmp_path / make.__name__
        folder.mkdir()
        finished(folder)
        (folder / name).unlink()
        make(folder / name)
        status, said = again(folder, capsys)
        assert status == 2
        assert f"{name} is no regular file" in said


@pytest.mark.timeout(20)
def test_a_pipe_without_a_writer_is_no_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "log.tsv")
    for path in (str(tmp_path / "log.tsv"), "/dev/null"):
        assert cli.main(["replay", path]) == 2
        assert f"{path}: it is no regular file" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["run", "--rate=1", "--duration=1"], ["replay", __file__], ["sweep"]])
def test_an_empty_out_is_not_the_current_folder(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main([*arguments, "--out", "", "--endpoint-url=http://127.0.0.1:1"])
    assert ended.value.code == 2
    assert "argument --out: the name of a folder is needed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
