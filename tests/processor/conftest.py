"""Serves ministack once for all tests here, and stages with tables of a test's own."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

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
