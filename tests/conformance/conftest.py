"""The target of the conformance tests: one for the session, cleaned after every test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.target import Target, cleaned
from tests.support.local_stack import Up

VARIABLE = "CONFORMANCE_TARGET"


@pytest.fixture(scope="session")
def session_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    told = os.environ.get(VARIABLE, "")
    if told == "aws":
        yield from _prepared(Target(None, within_s=300, settle_s=20))
    elif told:
        yield from _prepared(Target(told, within_s=10, settle_s=1.5))
    else:
        up = Up(tmp_path_factory.mktemp("stack") / "stderr")
        try:
            yield from _prepared(Target(up.endpoint_url, within_s=20, settle_s=0.8))
        finally:
            up.stop()


@pytest.fixture
def target(session_target: Target) -> Iterator[Target]:
    with cleaned(session_target) as view:
        yield view


def _prepared(target: Target) -> Iterator[Target]:
    with target.undo:
        target.prepare()
        yield target


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)
