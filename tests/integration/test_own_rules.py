"""Rules of an adopter's own, deployed as a user does it: the ledger goes by them, and says when they are other ones."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.local_stack import Up

ROOT = Path(__file__).parents[2]
LOADGEN = str(Path(sys.executable).parent / "loadgen")

RULES = '''
"""Two windows of different sums, an item per event and the newest state of each subject; some events are refused."""

from processor.core.effects import Add, Latest, Record
from processor.core.errors import Refused
from processor.core.rule_api import window_start


def effects(event, settings):
    size, quantity = event.data["bytes"], event.data["quantity"]
    if size % 50 == 1:
        raise Refused("not ours")
    if size % 50 == 2:
        return []
    state = Latest(f"state#{event.subject}", "now", {"size": size, "quantity": quantity}, f"{event.time} {event.id}")
    if size % 50 == 3:
        return [state]
    item = Record(f"event#{event.subject}", event.digest, {"size": size, "big": size > 50_000, "none": None})
    if size % 50 == 4:
        return [item]
    hour, day = window_start(event.time_s, 3600), window_start(event.time_s, 86400)
    return [
        Add(f"shop#{event.subject}", hour, {"sum_revenue": quantity * PRICE}),
        Add("shops", day, {"sum_revenue": quantity * PRICE, "orders": 1}),
        item,
        state,
    ]


PRICE = 3
'''

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout, as far as it is deployed, with a rules module of its own."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "processor", folder / "processor", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "infra").mkdir()
    shutil.copy(ROOT / "infra" / "template.yaml", folder / "infra")
    (folder / "processor" / "shop_rules.py").write_text(RULES)
    return folder


@pytest.fixture
def up(checkout: Path, tmp_path: Path) -> Iterator[Up]:
    template = str(checkout / "infra" / "template.yaml")
    stack = Up(tmp_path / "log", "--template", template, "--parameter", "RulesModule=processor.shop_rules")
    yield stack
    stack.stop()


def load(stack: Up, checkout: Path, out: Path, *more: str) -> tuple[int, dict[str, Any], str]:
    """`loadgen run` with the rules of a checkout: exit status, the ledger, everything that was said."""
    arguments = ["--rate", "1000", "--duration", "2", "--keys", "50", "--duplicates", "0.1", "--malformed", "0.02"]
    ended = subprocess.run(
        [LOADGEN, "run", *arguments, "--endpoint-url", stack.endpoint_url, "--out", str(out), *more],
        capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    ledger = json.loads((out / "report.json").read_text())["ledger"]
    return ended.returncode, ledger, ended.stdout + ended.stderr


def test_the_ledger_balances_for_rules_with_two_windows_records_and_latest_values_and_not_for_others(
    up: Up, checkout: Path, tmp_path: Path
) -> None:
    fixed = ("--run-id", "own", "--event-time", "1795426496")
    status, ledger, said = load(up, checkout, tmp_path / "1", *fixed)
    assert status == 0, said
    assert ledger["balanced"]
    assert min(ledger[name] for name in ("stored", "items", "without_effect", "quarantined")) > 0
    assert ledger["expected_reasons"]["rules_refused"] > 0
    assert "change nothing under these rules" in said

    # The same events again, and then others beside them in the window that all share.
    status, ledger, said = load(up, checkout, tmp_path / "2", *fixed)
    assert status == 0, said
    assert ledger["stored_before"] == ledger["stored"]
    status, ledger, said = load(up, checkout, tmp_path / "3", "--processes", "2", "--event-time", "1795426600")
    assert status == 0, said
    assert ledger["stored_before"] == 0
    assert ledger["foreign_before"] > 0

    # A checkout whose rules are not the deployed ones: nothing of it is called lost.
    rules = checkout / "processor" / "shop_rules.py"
    rules.write_text(
        RULES.replace('f"shop#{event.subject}"', 'f"shop/{event.subject}"').replace("PRICE = 3", "PRICE = 2")
    )
    status, ledger, said = load(up, checkout, tmp_path / "4", "--drain-timeout", "2")
    assert status == 1
    assert ledger["elsewhere"] > 0
    assert ledger["lost"] == 0
    assert "the deployed rules" in said
