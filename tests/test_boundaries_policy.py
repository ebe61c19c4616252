"""Policy is in infra/model: the local shells have no word for retrying, halving, giving up or growing old.

Looked at are names in code, not comments and texts.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHELLS = sorted((ROOT / "infra" / "local").glob("*.py"))
EVERYWHERE = re.compile(r"retr(y|ies)|bisect|back_?off|(record|event|batch)_age|age_(s|ms)_?(max|limit)?$|exhaust")
# What only a mapping could mean by it.
OF_MAPPINGS = re.compile(r"attempt|halve|half|halves|expire|too_old|discarded|poison|first_failed|batch_size|lane_of")


def names(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.alias(name=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name


def policy_in(source: str, *, of_mappings: bool) -> set[str]:
    found = {name for name in names(source) if EVERYWHERE.search(name.lower())}
    if of_mappings:
        found |= {name for name in names(source) if OF_MAPPINGS.search(name.lower())}
    return found


@pytest.mark.parametrize("path", SHELLS, ids=lambda path: path.stem)
def test_a_shell_has_no_word_for_retries_halves_or_age(path: Path) -> None:
    assert policy_in(path.read_text(), of_mappings=path.stem.startswith("mapping")) == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("if attempts > retry_max: give_up()", {"attempts", "retry_max"}),
        ("from bisect import bisect_left", {"bisect_left"}),
        ("def backoff_s(n): return 2 ** n", {"backoff_s"}),
        ("poll(record_age_s_max=60)", {"record_age_s_max"}),
        ("half = batch[: len(batch) // 2]", {"half"}),
        ("machine.config.batch_size", {"batch_size"}),
        ('"a retry"  # retry', set()),
    ],
)
def test_the_words_would_be_found(source: str, found: set[str]) -> None:
    assert policy_in(source, of_mappings=True) == found
