"""The entry point: init says what is wrong before the first batch, and the handler is the function of the template."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.ministack import Ministack
from tests.support.stage import Stage, kinesis_event, model, usage

ROOT = Path(__file__).resolve().parents[2]

DELIVER = """
import json, sys
from processor.stream import handler

class Context:
    def get_remaining_time_in_millis(self):
        return 60_000

for line in sys.stdin:
    print("ANSWER", json.dumps(handler(json.loads(line), Context())))
"""


def run(code: str, environment: dict[str, str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "POWERTOOLS_"))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )


def environment(stage: Stage, stack: Ministack) -> dict[str, str]:
    return {
        **stack.environment(),
        "RESULTS_TABLE": stage.results,
        "QUARANTINE_TABLE": stage.quarantine,
        "FAILURE_BUCKET": stage.bucket,
    }


def test_the_handler_writes_a_batch_with_settings_from_the_environment(stage: Stage, ministack: Ministack) -> None:
    import json

    event = kinesis_event([usage(number) for number in range(50)])
    done = run(DELIVER, environment(stage, ministack), f"{json.dumps(event)}\n" * 2)
    assert done.stdout.count('ANSWER {"batchItemFailures": []}') == 2, done.stderr
    assert stage.totals() == model(event)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"RESULTS_TABLE": ""}, "RESULTS_TABLE='': set it to the results table's name"),
        ({"RULES_MODULE": "no.such.module"}, "RULES_MODULE='no.such.module' cannot be imported: ModuleNotFoundError"),
        ({"RULES_MODULE": "processor.settings"}, "RULES_MODULE='processor.settings' has no function effects"),
    ],
    ids=str,
)
def test_a_wrong_setting_fails_at_init_with_what_to_change(
    stage: Stage, ministack: Ministack, changes: dict[str, str], said: str
) -> None:
    done = run("import processor.stream", {**environment(stage, ministack), **changes})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("processor.settings.SettingsError: ")
    assert said in done.stderr


def test_init_imports_neither_boto3_nor_tracing_nor_asyncio_nor_the_batch_utility(
    stage: Stage, ministack: Ministack
) -> None:
    """What costs time at a cold start and is not needed (benchmarks/init.py)."""
    heavy = ("boto3", "aws_xray_sdk", "asyncio", "aws_lambda_powertools.utilities.batch", "pydantic", "ministack")
    code = f"import sys, processor.stream; print([name for name in {heavy!r} if name in sys.modules])"
    assert run(code, environment(stage, ministack)).stdout == "[]\n"


def test_rules_are_imported_once_and_bound_to_their_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESULTS_TABLE", "results")
    monkeypatch.setenv("QUARANTINE_TABLE", "quarantine")
    monkeypatch.setenv("FAILURE_BUCKET", "failures")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    from processor.core.events import parse
    from processor.core.rule_api import RuleSettings
    from processor.settings import load
    from processor.stream import load_rules

    settings = replace(load(), rules=RuleSettings(("bytes",), 60))
    (effect,) = load_rules(settings)(parse(usage(1)))
    assert vars_of(effect) == ("usage#customer", "2026-11-23T09:12:00Z", {"sum_bytes": 11})


def vars_of(effect: object) -> tuple[object, ...]:
    return tuple(getattr(effect, name) for name in ("pk", "window", "amounts"))
