"""One local stack for all tests here, started as a user starts it, and a factory for stacks of a test's own.

Tests share the stack: each uses an event type, stream or bucket of its own (`unique`), so none has to clean up tables.
"""

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.local_stack import Up


@pytest.fixture(autouse=True, scope="session")
def _plain_aws_settings() -> Iterator[None]:
    """Nothing of the machine's own AWS configuration reaches these tests or their children."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith("AWS_"):
            del os.environ[name]
    os.environ.update(
        AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null", AWS_EC2_METADATA_DISABLED="true"
    )
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, _plain_aws_settings: None) -> Iterator[Up]:
    """The project's own template, running."""
    folder = tmp_path_factory.mktemp("stack")
    up = Up(folder / "stderr", "--data-dir", str(folder / "data"))
    try:
        yield up
    finally:
        status = up.stop()
    assert status == 0
    assert "Traceback" not in up.log.read_text()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Starts stacks of a test's own; what still runs at its end is stopped."""
    started: list[Up] = []

    def start(*arguments: str) -> Up:
        up = Up(tmp_path / f"stderr-{len(started)}", *arguments)
        started.append(up)
        return up

    yield start
    for up in started:
        if up.process.poll() is None:
            up.stop(signal.SIGKILL)


@pytest.fixture
def unique() -> str:
    """A name that no other test uses: an event type, a stream's name, a bucket's name."""
    return f"test-{uuid.uuid4().hex[:12]}"
