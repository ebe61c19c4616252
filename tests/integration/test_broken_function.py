"""A function that cannot be imported says so at its first init, once, with the file and the line."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.local_stack import Up, until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


def project(folder: Path, rules: str) -> Path:
    """A copy of what is deployed, with these rules; returns its template."""
    shutil.copytree(ROOT / "processor", folder / "processor", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "processor" / "rules.py").write_text(rules)
    (folder / "infra").mkdir()
    return Path(shutil.copy(ROOT / "infra" / "template.yaml", folder / "infra"))


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("\nimport no_such_module\n", "processor/rules.py:2: "),
        pytest.param("def effects(event, settings:\n", "processor/rules.py:1: ", marks=pytest.mark.slow),
        pytest.param("x = {}\n\ny = x['absent']\n", "processor/rules.py:3: ", marks=pytest.mark.slow),
    ],
    ids=["import", "syntax", "exception"],
)
def test_rules_that_cannot_be_imported_are_told_at_the_first_init_once(
    tmp_path: Path, start: Callable[..., Up], rules: str, said: str
) -> None:
    up = start("--template", str(project(tmp_path, rules)), "--data-dir", str(tmp_path / "data"))
    function = up.ready["functions"][0]
    client = up.client("lambda")
    began = time.monotonic()
    response = client.invoke(FunctionName=function, Payload=b'{"Records": []}')
    took_s = time.monotonic() - began
    # It was told before the answer was given: nobody waits longer for the message than for the failure itself.
    messages = [line for line in up.log.read_text().splitlines() if "does not start" in line]
    assert response["FunctionError"] == "Unhandled"
    assert len(messages) == 1, up.log.read_text()
    assert f"function {function} does not start (handler processor.stream.handler): {said}" in messages[0]
    error = json.loads(response["Payload"].read())
    assert error["errorType"] in messages[0]
    print(f"told {took_s:.2f} s after the first invocation began")

    up.client("kinesis").put_record(StreamName=up.ready["stream"], PartitionKey="k", Data=b"x")
    reports = tmp_path / "data" / "logs" / f"{function}.log"
    until(lambda: reports.read_text().count("REPORT RequestId") >= 4, "the mapping tried and tried again")
    assert up.log.read_text().count("does not start") == 1
    assert "Traceback" not in up.log.read_text()
