"""Mistakes on the command line are one sentence and a status, never a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.cli import main, parameters, parser
from infra.ops.errors import CommandError


def test_parameters_are_key_value_and_a_value_may_contain_equals_signs() -> None:
    assert parameters(["ShardCount=4", "Measures=a=b"]) == {"ShardCount": "4", "Measures": "a=b"}


@pytest.mark.parametrize("given", [["ShardCount"], ["=4"], ["A=1", "A=2"]])
def test_a_parameter_that_is_not_one_is_a_usage_error(given: list[str]) -> None:
    with pytest.raises(CommandError, match="--parameter") as raised:
        parameters(given)
    assert raised.value.exit_status == 2


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sideways"],
        ["up", "--port", "70000"],
        ["up", "--port", "-1"],
        ["up", "--data-dir", ""],
        ["up", "--data-dir", " "],
        ["results", "--by", "moon"],
        ["quarantine"],
    ],
)
def test_usage_errors_exit_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "usage: infra" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["results", "--from", "yesterday"], "--from yesterday: a date or time"),
        (["results", "--type", "a#b"], "--type a#b"),
        (["results", "--endpoint-url", "localhost"], "--endpoint-url localhost"),
        (["quarantine", "show", "nonsense"], "nonsense: a position is"),
        (["up", "--parameter", "X"], "--parameter X"),
        (["up", "--template", "/nonexistent.yaml"], "cannot read the template"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_with_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert sentence in said.err
    assert said.err.count("\n") == 1


def test_every_command_that_talks_to_a_stack_takes_endpoint_region_and_stack_name() -> None:
    target = ["--endpoint-url", "http://127.0.0.1:1", "--region", "eu-west-1", "--stack-name", "mine"]
    for command in (["results"], ["quarantine", "list"], ["quarantine", "show", "a/b:1"]):
        parsed = parser().parse_args([*command, *target])
        assert (parsed.endpoint_url, parsed.region, parsed.stack_name) == ("http://127.0.0.1:1", "eu-west-1", "mine")


def test_help_does_not_load_what_only_a_running_command_needs() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, infra.cli; infra.cli.parser(); print(sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    ).stdout
    for heavy in ("boto3", "botocore", "ministack", "hypercorn", "rich"):
        assert f"'{heavy}'" not in loaded
