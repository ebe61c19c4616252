"""`infra simulate`: exit statuses, one sentence for a mistake, and a command that repeats what was found."""

import re
import shlex

import pytest

from infra.cli import main


def test_a_run_without_a_violation_exits_with_0_and_prints_the_trace(capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for _ in range(2):
        assert main(["simulate", "--seed", "3", "--events", "500"]) == 0
        outputs.append(capsys.readouterr().out)
    traces = [re.findall(r"seed 3: trace ([0-9a-f]{16})\n", output) for output in outputs]
    assert traces[0] == traces[1]
    assert len(traces[0]) == 1
    assert "virtual events per CPU-second" in outputs[0]
    assert "no violation" in outputs[0]
    assert re.search(r"^1 seed, \d+ events put", outputs[0], re.MULTILINE)


def test_a_violation_exits_with_1_and_prints_the_command_that_repeats_it(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["simulate", "--vary", "--seeds", "8", "--keys", "3", "--no-bisect"]
    assert main([*arguments, "--mutation", "next record reported"]) == 1
    first = capsys.readouterr().out
    found = re.search(r"seed (\d+): VIOLATION of '([^']+)': .*\n.* trace ([0-9a-f]{16})\n", first)
    assert found is not None
    again = shlex.split(re.findall(r"  again: (.*)\n", first)[0])
    assert again[:4] == ["infra", "simulate", "--seed", found[1]]
    assert main(again[1:]) == 1
    assert found[0] in capsys.readouterr().out
    assert main(arguments) == 0


def test_the_trace_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--events", "300", "--trace"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(re.match(r"\d+\.\d{6} invoke 1\.\d+ ", line) for line in lines)
    assert lines[-1].startswith("seed 1: trace ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--faults", "earthquake"], "--faults earthquake: 'earthquake' is no fault; there are: all, none"),
        (["--faults", "throttle=2"], "throttle=2: a probability"),
        (["--batch-size", "0"], "batchSize"),
        (["--record-age", "10"], "these settings cannot be: "),
        (["--reserved-concurrency", "0"], "not 0"),
        (["--timeout", "3"], "timeout_s is 3; accepted: 6 to 900"),
        (["--shards", "0"], "shards is 0; accepted: 1 to 500"),
        (["--template", "/nonexistent.yaml"], "--template /nonexistent.yaml: cannot be read"),
        (["--parameter", "ShardCount"], "Key=Value"),
        (["--parameter", "Nothing=1"], "Nothing"),
        (["--mutation", "gravity"], "--mutation gravity: there are budget not reset by progress"),
    ],
)
def test_a_mistake_is_one_sentence_and_exits_with_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert sentence in said.err
    assert said.err.startswith("infra simulate: ")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--seed", "x"], ["--events", "0"], ["--seeds", "-1"], ["--processes", "0"]])
def test_a_wrong_number_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["simulate", *arguments])
    assert raised.value.code == 2
    assert "usage: infra simulate" in capsys.readouterr().err


def test_settings_are_the_templates_unless_a_flag_fixes_them(capsys: pytest.CaptureFixture[str]) -> None:
    """The report of a violation names the settings that held."""
    arguments = ["simulate", "--events", "300", "--mutation", "quarantine forgotten", "--faults", "malformed=0.5"]
    assert main([*arguments, "--batch-size", "7", "--parameter", "ParallelizationFactor=3"]) == 1
    out = capsys.readouterr().out
    assert "batch_size=7, batching_window_s=1, parallelization_factor=3, " in out
    assert "--parameter ParallelizationFactor=3 --mutation 'quarantine forgotten' --batch-size 7" in out


def test_what_is_fixed_is_above_what_the_seed_would_draw(capsys: pytest.CaptureFixture[str]) -> None:
    """Fact 7.9: no tumbling windows beside a factor above 1, so that they are not drawn then."""
    fixed = ["--parallelization-factor", "10", "--events", "20"]
    assert main(["simulate", "--vary", "--seeds", "12", *fixed]) == 0
    assert "12 seeds" in capsys.readouterr().out
