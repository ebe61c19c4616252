"""The target of a load without a processor behind it."""

from collections.abc import Iterator

import pytest

from tests.support.deployed import Deployed, in_moto


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """An empty stack in moto."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with in_moto() as stack:
        yield stack
