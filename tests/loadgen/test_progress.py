"""On a terminal a live view, elsewhere plain lines; and a watch that never stands in the load's way."""

import io
import re
import threading
import time
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from rich.console import Console

from infra.ops.outputs import Connection, Target
from loadgen.observing.watch import Watch
from loadgen.outcome.metrics import Turn
from loadgen.progress import Progress
from tests.support.deployed import STACK

KNOWN = STACK._replace(function="stream", mapping_id="uuid")
REPORT = "REPORT RequestId: one\tDuration: 500.00 ms\tBilled Duration: 500 ms\tMemory Size: 512 MB\t"


def test_a_log_gets_a_line_every_few_seconds_and_at_each_end(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(400, console=Console(file=io.StringIO())) as progress:
        for tick in range(41):
            progress.sending(tick / 4, Turn(acknowledged=tick * 10))
        progress.draining(0.1, 10, 400)
        progress.draining(0.6, 390, 400)
        progress.draining(1.1, 400, 400)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("s ")[0].split() for line in lines] == [
        ["sending", "5.0"], ["sending", "10.0"], ["processing", "0.1"], ["processing", "1.1"],
    ]  # fmt: skip
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize(("width", "encoding", "bar"), [(160, "utf-8", "█"), (160, "ascii", "#"), (60, "utf-8", None)])
def test_a_terminal_gets_a_view_that_fits_it(width: int, encoding: str, bar: str | None) -> None:
    raw = io.BytesIO()
    screen = io.TextIOWrapper(raw, encoding=encoding, errors="replace", write_through=True)
    with Progress(400, console=Console(file=screen, force_terminal=True, width=width)) as progress:
        for tick in range(41):
            progress.sending(tick / 4, Turn(acknowledged=tick * 10))
        progress.say("said [once] 7")
        progress.draining(1.1, 400, 400)
    shown = raw.getvalue().decode(encoding)
    assert "said [once] 7" in shown
    for what in ("offered", "accepted", "processed", "concurrency", "throttles", "age at the commit"):
        assert what in shown
    assert "400 of 400" in shown
    assert ("latest" in shown) == (bar is not None)
    assert bar is None or bar in shown


def test_what_a_signal_says_is_a_line_of_the_picture_and_stays(capfd: pytest.CaptureFixture[str]) -> None:
    """Written beside the picture, the next frame would be drawn over it."""
    screen = io.StringIO()
    with Progress(400, console=Console(file=screen, force_terminal=True, width=100)) as progress:
        progress.sending(1.0, Turn(acknowledged=10))
        progress.interrupted(b"\nloadgen: interrupted: the rest\n")
    last_frame = screen.getvalue().rpartition("offered")[2]
    assert "loadgen: interrupted: the rest" in last_frame
    assert capfd.readouterr().err == ""
    progress.interrupted(b"after it\n")
    assert capfd.readouterr().err == "after it\n"


def test_a_log_gets_what_a_signal_says_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    with Progress(400, console=Console(file=io.StringIO())) as progress:
        progress.interrupted(b"now\n")
        assert capfd.readouterr().err == "now\n"


def test_a_log_is_told_of_the_end_of_sending_once(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(400, console=Console(file=io.StringIO())) as progress:
        for tick in range(9):
            progress.sending(4 + tick / 8, Turn(acknowledged=400))
        progress.draining(0.1, 10, 400)
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == ["sending", "processing"]


def test_the_clock_of_a_log_does_not_go_back(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(400, console=Console(file=io.StringIO())) as progress:
        progress.sending(10.3, Turn(acknowledged=300))
        progress.sending(10.0, Turn(acknowledged=400))
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["10.3", "10.3"]


@pytest.mark.parametrize(("width", "has_notes"), [(40, False), (60, True)])
def test_no_line_is_wider_than_the_terminal(width: int, has_notes: bool) -> None:
    screen = io.StringIO()
    with Progress(400, console=Console(file=screen, force_terminal=True, no_color=True, width=width)) as progress:
        progress.sending(1.0, Turn(acknowledged=10, late=10))
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert max(map(len, plain.replace("\r", "\n").splitlines())) <= width
    assert ("10 in all" in plain) == has_notes


class Service:
    """Answers a watch's questions; `refused` counts how often it could not."""

    def __init__(self, *, is_gone: bool = False) -> None:
        self.is_gone, self.asked = is_gone, 0
        self.looked = threading.Event()

    def client(self, _service: str) -> "Service":
        return self

    def __getattr__(self, name: str) -> Any:
        def answer(**asked: Any) -> dict[str, Any]:
            self.asked += 1
            if self.is_gone and name == "filter_log_events":
                self.looked.set()
                raise EndpointConnectionError(endpoint_url="gone")
            if name == "filter_log_events":
                is_report = asked["filterPattern"] == "REPORT"
                self.looked.set()
                event = {"timestamp": asked["startTime"] + 700, "message": REPORT}
                return {"events": [event] if is_report else []}
            limits = {
                "OpenShardCount": 2,
                "Timeout": 60,
                "MemorySize": 512,
                "BatchSize": 100,
                "ConcurrentExecutions": 9,
            }
            groups = ("StreamDescriptionSummary", "AccountLimit")
            return {**limits, **dict.fromkeys(groups, limits), "Table": {}, "ParallelizationFactor": 4}

        return answer


def watching(monkeypatch: pytest.MonkeyPatch, service: Service) -> Watch:
    connection = Connection(Target("http://127.0.0.1:9", None, "stack"))
    monkeypatch.setattr(connection, "client", service.client)
    return Watch(connection, KNOWN)


def test_a_watch_sees_what_the_log_says_and_what_the_stack_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service()
    seeing = watching(monkeypatch, service)
    seeing.start(time.time(), 0.0)
    assert service.looked.wait(20)
    seeing.stop()
    assert (seeing.seen.capacity.lanes, seeing.seen.capacity.concurrency) == (8, 9)
    assert seeing.seen.latest("concurrency") == pytest.approx(0.5)
    assert seeing.seen.problem is None


def test_a_target_that_is_gone_is_the_watchs_problem_and_not_the_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(is_gone=True)
    seeing = watching(monkeypatch, service)
    seeing.start(time.time(), 0.0)
    assert service.looked.wait(20)
    seeing.stop()
    assert seeing.seen.problem is not None
    assert "does not answer" in seeing.seen.problem


def test_a_stack_without_a_known_function_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service()
    seeing = watching(monkeypatch, service)
    seeing._stack = STACK
    seeing.start(0.0, 0.0)
    seeing.stop()
    assert service.asked == 0
