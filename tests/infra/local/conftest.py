"""The mounted services in the tests' own process."""

import os
from collections.abc import Iterator

import pytest

from infra.local.services import Services, load


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """What they keep outlasts the module: every module has names of its own in them. They also set the environment."""
    before = dict(os.environ)
    yield load(region="us-east-1", account_id="000000000000", port=1, data_dir=tmp_path_factory.mktemp("ministack"))
    os.environ.clear()
    os.environ.update(before)
