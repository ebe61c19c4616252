"""What cannot be asked of the target is said, and everything else is found all the same."""

from email.message import Message
from typing import Any
from urllib.error import HTTPError

import pytest
from botocore.exceptions import ClientError

from infra.ops.outputs import Connection, Target
from loadgen.observing.observe import Observer, capacity_of, pause_ms, why_stopped, write_units_per_s
from tests.support.deployed import STACK

KNOWN = STACK._replace(function="stream", mapping_id="uuid")
REPORT = "REPORT RequestId: one\tDuration: 500.00 ms\tBilled Duration: 500 ms\tMemory Size: 512 MB\t"
LIMITS = {"OpenShardCount": 2, "Timeout": 60, "MemorySize": 512, "BatchSize": 100, "ConcurrentExecutions": 9}
WHAT = {
    "describe_stream_summary": "the stack's capacity",
    "get_account_settings": "the stack's capacity",
    "filter_log_events": "the function's log",
    "get_metric_data": "CloudWatch's metrics",
}


class Refusing:
    """A target that refuses one operation."""

    def __init__(self, refused: str) -> None:
        self.refused = refused

    def client(self, _service: str) -> "Refusing":
        return self

    def get_paginator(self, name: str) -> "Refusing":
        self._answer(name)
        return self

    def paginate(self, **_: object) -> list[dict[str, Any]]:
        return []

    def _answer(self, name: str) -> None:
        if name == self.refused:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}, name)

    def __getattr__(self, name: str) -> Any:
        def answer(**asked: Any) -> dict[str, Any]:
            self._answer(name)
            if name == "filter_log_events":
                is_report = asked["filterPattern"] == "REPORT"
                return {"events": [{"timestamp": asked["startTime"] + 700, "message": REPORT}] if is_report else []}
            groups = ("StreamDescriptionSummary", "AccountLimit")
            more = {
                **dict.fromkeys(groups, LIMITS),
                "Table": {},
                "ParallelizationFactor": 4,
                "Architectures": ["arm64"],
            }
            return {**LIMITS, **more}

        return answer


@pytest.mark.parametrize("refused", [*WHAT, "nothing"])
def test_a_right_that_lacks_costs_its_part_and_no_other(monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    connection, target = Connection(Target("http://127.0.0.1:9", None, "stack")), Refusing(refused)
    monkeypatch.setattr(connection, "client", target.client)
    found = Observer(connection, KNOWN, lambda: False).observe(1000.0, 1002.0, 0.0)
    assert [missing.split(":")[0] for missing in found.missing] == ([WHAT[refused]] if refused in WHAT else [])
    assert all("AccessDeniedException: not authorized" in missing for missing in found.missing)
    assert (found.capacity.lanes is None) == (WHAT.get(refused) == "the stack's capacity")
    assert {"concurrency", "lanes_with_work"} <= {one.name for one in found.series} or refused == "filter_log_events"
    assert found.capacity.architecture == "arm64" or found.capacity.lanes is None


def test_an_interrupt_ends_the_wait_for_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, target = Connection(Target("http://127.0.0.1:9", None, "stack")), Refusing("nothing")
    monkeypatch.setattr(connection, "client", target.client)
    assert Observer(connection, KNOWN, lambda: True).observe(1000.0, 1002.0, 1e10).missing == []


@pytest.mark.parametrize(
    ("handler", "said", "found"),
    [
        ("processor.paused.handler", "250", 250),
        ("processor.stream.handler", "250", None),  # left over: this handler does not look at it
        ("processor.paused.handler", "soon", None),
    ],
)
def test_a_pause_is_only_that_of_the_handler_that_pauses(handler: str, said: str, found: int | None) -> None:
    assert pause_ms({"Handler": handler, "Environment": {"Variables": {"PAUSE_MS": said}}}) == found


@pytest.mark.parametrize(
    ("answer", "allowed"),
    [
        ({"limited": True, "limits": {"write_units_per_s": 40.0, "read_units_per_s": None}}, 40),
        ({"limited": True, "limits": {"write_units_per_s": None}}, None),
        ({"limited": False, "counts": {}}, None),
        (["another endpoint"], None),
        ({"limits": {"write_units_per_s": True}}, None),
    ],
)
def test_a_local_tables_limit_is_what_its_endpoint_says_of_it(answer: object, allowed: int | None) -> None:
    assert write_units_per_s(answer) == allowed


@pytest.mark.parametrize(("endpoint_url", "asked"), [("http://127.0.0.1:9", 1), (None, 0)])
def test_only_a_local_endpoint_is_asked_for_a_tables_own_limit(
    monkeypatch: pytest.MonkeyPatch, endpoint_url: str | None, asked: int
) -> None:
    urls: list[str] = []

    def no_such_path(url: str, **_: object) -> None:
        urls.append(url)
        raise HTTPError(url, 404, "Not Found", Message(), None)

    monkeypatch.setattr("loadgen.observing.observe.urlopen", no_such_path)
    connection = Connection(Target(endpoint_url, None, "stack"))
    monkeypatch.setattr(connection, "client", Refusing("nothing").client)
    assert capacity_of(connection, KNOWN).table_write_units_per_s is None
    assert urls == ["http://127.0.0.1:9/_local/tables/results"][:asked]


@pytest.mark.parametrize(
    ("state", "has_function", "said"),
    [
        ("Enabled", True, None),
        ("Updating", True, None),
        ("Disabled", True, "the event source mapping is Disabled"),
        ("Enabled", False, "the function does not exist any more"),
    ],
)
def test_why_nothing_is_read_any_more_is_known(state: str, has_function: bool, said: str | None) -> None:
    assert why_stopped(state, has_function=has_function) == said
