"""The command line: what cannot work ends with one sentence and the documented status, before anything is sent."""

import argparse
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.model.mapping import Pace
from loadgen import cli
from loadgen.offer.recordings import TSV_COLUMNS
from loadgen.outcome.ledger import Expectations, Findings, settle
from loadgen.outcome.metrics import Metrics
from loadgen.outcome.results import PutResult, encode
from loadgen.run import late_after_us
from loadgen.showing import report
from loadgen.showing.thresholds import check, parse
from processor.core.packing import PackingSettings
from tests.support.deployed import Deployed

RUN = ["run", "--rate", "10", "--duration", "1"]


@pytest.fixture
def nobody() -> str:
    """An endpoint at which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{bound.getsockname()[1]}"


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit status and stderr, of the command or of its parser."""
    try:
        status = cli.main(arguments)
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    return status, capsys.readouterr().err


@pytest.mark.parametrize("arguments", [RUN, ["replay", "file"]])
def test_what_lambda_may_still_retry_is_not_called_lost(arguments: list[str]) -> None:
    """A batch that was throttled again and again waits this long between two attempts: no progress is no loss yet."""
    assert cli.parser().parse_args(arguments).drain_timeout >= 2 * Pace().retry_interval_s_max


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--rate", "0", "--duration", "1"], "--rate"),
        (["run", "--rate", "-5", "--duration", "1"], "--rate"),
        (["run", "--rate", "nan", "--duration", "1"], "--rate"),
        (["run", "--rate", "1e9", "--duration", "1"], "--rate"),
        (["run", "--rate", "fast", "--duration", "1"], "--rate"),
        (["run", "--rate", "1", "--duration", "inf"], "--duration"),
        (["run", "--rate", "0.1", "--duration", "1"], "no event at all"),
        ([*RUN, "--profile", "square"], "constant"),
        ([*RUN, "--duplicates", "2"], "--duplicates"),
        ([*RUN, "--event-bytes", "3"], "--event-bytes"),
        ([*RUN, "--event-time", "1795426496000"], "--event-time"),
        ([*RUN, "--aggregate", "0"], "--aggregate"),
        ([*RUN, "--aggregate", "many"], "--aggregate"),
        ([*RUN, "--aggregate", "\u0663"], "--aggregate"),
        ([*RUN, "--settle", "-1"], "--settle"),
        ([*RUN, "--metrics-wait", "-1"], "--metrics-wait"),
        ([*RUN, "--processes", "0"], "--processes"),
        ([*RUN, "--threshold", "throttled<1"], "there is no throttled; there are"),
        ([*RUN, "--drain-timeout", "nan"], "--drain-timeout"),
        ([*RUN, "--threshold", "latency_p99_ms"], "latency_p99_ms<1000"),
        ([*RUN, "--endpoint-url", "localhost:4566"], "--endpoint-url"),
        (["replay", "missing.tsv"], "missing.tsv: there is no such file"),
        (["replay", __file__, "--format", "xml"], "cloudevents"),
        (["replay", __file__], "--format"),
        (["replay", __file__, "--format", "clf", "--speed", "0"], "--speed"),
        (["replay", __file__, "--format", "clf", "--speed", "quick"], "--speed"),
        (["report", "no/such/folder"], "no finished run"),
        (["report", "no/such/folder", "no/other"], "no finished run"),
        (["report", "one", "two", "three"], "two to compare, not 3"),
        (["report", "one", "--html", "page.html"], "--html is for two folders"),
        (["sweep", "--shards", "0"], "--shards"),
        (["sweep", "--aggregate", "none"], "--aggregate"),
        (["sweep", "--point-duration", "nan"], "--point-duration"),
        (["sweep", "--warm-up", "23"], "--warm-up"),
        (["sweep", "--tolerance", "0"], "--tolerance"),
        (["sweep", "--event-bytes", "3"], "--event-bytes"),
        ([], "run|replay|sweep|report"),
    ],
    ids=lambda value: "_".join(value[:1] + value[-2:]) if isinstance(value, list) else "",
)
def test_what_means_nothing_is_a_usage_error_that_names_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    status, text = call(capsys, *arguments)
    assert status == 2
    assert said in text
    assert "Traceback" not in text
    assert list(tmp_path.iterdir()) == []


def test_help_says_every_default_and_what_may_be_repeated() -> None:
    commands = {
        name: command
        for action in cli.parser()._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, command in action.choices.items()
    }
    assert commands.keys() == {"run", "replay", "sweep", "report"}
    for command in commands.values():
        for action in command._actions:
            said = action.help or ""
            assert said, action.option_strings
            if isinstance(action, argparse._AppendAction):
                assert "repeatable" in said
            elif not action.required and not isinstance(action, argparse._HelpAction):
                assert "default" in said or "without it" in said, action.option_strings
            if isinstance(action.default, float | int):
                assert f"default {action.default:g})" in said


def test_an_unknown_threshold_lists_the_names_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = call(capsys, *RUN, "--threshold", "latency_p98_ms<1")
    assert status == 2
    assert all(name in text for name in report.known_numbers())


def test_an_endpoint_where_nobody_listens_is_one_sentence_and_status_3(nobody: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; from loadgen.cli import main; sys.exit(main())"]
    ended = subprocess.run(
        [*command, *RUN, "--endpoint-url", nobody, "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 3
    assert ended.stderr.startswith(f"loadgen: {nobody} does not answer")
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def finished(folder: Path) -> dict[str, Any]:
    """A run's files, from two results."""
    metrics = Metrics(late_after_us(PackingSettings()))
    sent = PutResult("lane-000", (0, 500_000), 510_000, 1_200_000, 1, 512, 1, 0, "shardId-0", "49", (), None, False)
    never = PutResult("k" * 300, (700_000,), None, 700_000, 0, 301, 0, 0, None, None, (), "bad_partition_key", False)
    for result in (sent, never):
        metrics.add(result)
    (folder / "results.jsonl").write_text("".join(encode(result) + "\n" for result in (sent, never)))
    ledger = settle(Expectations(("bytes",)), Findings())
    numbers = report.numbers(metrics, ledger, 0.5, report.Unread())
    document = report.document(
        command=["loadgen", "run", "--run-id", "<script>"],
        started_at="2026-11-23T09:00:00.000+00:00",
        problem=None,
        configuration={"late_after_us": metrics.late_after_us, "run_id": "<script>"},
        metrics=metrics,
        ledger=ledger,
        drain_s=0.5,
        unread=report.Unread(),
        checked=check([parse("lost==0", report.known_numbers())], numbers),
    )
    (folder / "report.json").write_text(json.dumps(document))
    return document


def test_a_report_made_again_has_the_numbers_of_the_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    document = finished(tmp_path)
    assert call(capsys, "report", str(tmp_path))[0] == 0
    assert json.loads((tmp_path / "report.json").read_text()) == json.loads(json.dumps(document))


def test_the_page_is_self_contained_and_escapes_what_it_shows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    finished(tmp_path)
    call(capsys, "report", str(tmp_path))
    page = (tmp_path / "report.html").read_text()
    assert "http" not in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert all(f"<td>{name}" in page for name in report.known_numbers())


@pytest.mark.parametrize("broken", ["", "{", "[]", "{}", '{"schema": "loadgen-report/2"}', '{"schema": "other/1"}'])
def test_a_broken_report_is_a_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path, broken: str) -> None:
    finished(tmp_path)
    (tmp_path / "report.json").write_text(broken)
    status, text = call(capsys, "report", str(tmp_path))
    assert status == 2
    assert text.startswith("loadgen: ")


def test_a_damaged_line_of_results_is_said_with_its_number(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    finished(tmp_path)
    with (tmp_path / "results.jsonl").open("a") as lines:
        lines.write("nonsense\n")
    status, text = call(capsys, "report", str(tmp_path))
    assert status == 2
    assert "line 3" in text


def test_a_file_without_any_event_is_a_usage_error_that_says_why(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {
        "empty.tsv": ("", "it lacks host"),
        "header.tsv": ("\t".join(TSV_COLUMNS) + "\n", "there is no event in it"),
        "other.tsv": ("one\ttwo\n", "it lacks host"),
        "text.log": ("one\ntwo\n", "no line of it is clf; line 1"),
    }
    for name, (content, said) in files.items():
        Path(name).write_text(content)
        status, text = call(capsys, "replay", name, *(["--format", "clf"] if name.endswith("log") else []))
        assert status == 2
        assert said in text
    assert {path.name for path in tmp_path.iterdir()} == files.keys()


@pytest.mark.parametrize("name", ["late_share", "events_late", "latency_p99_ms"])
def test_a_threshold_on_the_schedule_means_nothing_without_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    recording = tmp_path / "log.tsv"
    recording.write_text("\t".join(TSV_COLUMNS) + "\nh\t807256800\tGET\t/\t200\t5\n")
    status, text = call(capsys, "replay", str(recording), "--speed", "max", "--threshold", f"{name}<1")
    assert status == 2
    assert "there is no schedule" in text
    assert "--speed X" in text


def test_late_allows_for_the_wait_for_an_aggregate_only_when_there_is_one() -> None:
    assert late_after_us(PackingSettings(linger_s=0.1)) == 110_000
    assert late_after_us(PackingSettings(aggregate=None, linger_s=0.1)) == 10_000


def recording_of(folder: Path, *times_s: int) -> Path:
    """A tsv file with one line per time."""
    path = folder / "log.tsv"
    lines = [f"host-{n}\t{time_s}\tGET\t/\t200\t5" for n, time_s in enumerate(times_s)]
    path.write_text("\n".join(["\t".join(TSV_COLUMNS), *lines, ""]))
    return path


def test_a_replay_without_a_speed_has_no_pace() -> None:
    assert cli.parser().parse_args(["replay", "file"]).speed == "max"


def replay(deployed: Deployed, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Against a stack without a processor: nothing will be found, and what is said before that is looked at."""
    monkeypatch.setattr(cli, "_connect", lambda _arguments: (deployed.connection, deployed.stack))
    waits = ("--drain-timeout", "0", "--settle", "0", "--metrics-wait", "0")
    return cli.main(["replay", *arguments, *waits])


def test_a_replay_at_a_pace_says_first_how_long_it_takes(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recording_of(tmp_path, 807_256_800, 807_256_800 + 86_399)
    arguments = (str(path), "--speed", "200000", "--out", str(tmp_path / "out"))
    assert replay(deployed, monkeypatch, *arguments) == 1
    said = capsys.readouterr().err.splitlines()[0]
    assert "spans 23 h 59 min 59 s: at --speed 200000 sending it takes 0 min 00 s" in said
    assert "--speed max" in said


def test_a_report_that_is_replaced_is_named(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (str(recording_of(tmp_path, 807_256_800)), "--out", str(tmp_path / "out"))
    replay(deployed, monkeypatch, *arguments)
    assert "replaces" not in capsys.readouterr().err
    earlier = json.loads((tmp_path / "out" / "report.json").read_text())["started_at"]
    replay(deployed, monkeypatch, *arguments)
    assert f"{tmp_path}/out: replaces the report of {earlier}\n" in capsys.readouterr().err
