"""Makes tests.support importable (pytest's importlib mode leaves sys.path alone) and serves ministack once."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

ROOT = str(Path(__file__).resolve().parents[2])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

if TYPE_CHECKING:
    from tests.support.ministack import Ministack
    from tests.support.stage import Stage


@pytest.fixture(scope="session")
def ministack() -> Iterator["Ministack"]:
    """DynamoDB and S3 over the wire, in a process of their own."""
    from tests.support.ministack import serve

    with serve() as stack:
        yield stack


@pytest.fixture
def stage(ministack: "Ministack") -> "Stage":
    """Fresh tables and a bucket, and processors that use them."""
    from tests.support.stage import Stage

    return Stage(ministack)
