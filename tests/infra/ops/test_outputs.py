"""The target is what the options say, and what is wrong with it is said in one sentence."""

import argparse
import socket

import pytest

from infra.ops.errors import CommandError
from infra.ops.outputs import Target, add_target_arguments, connect, describe, target_of


def target(*options: str) -> Target:
    parser = argparse.ArgumentParser()
    add_target_arguments(parser)
    return target_of(parser.parse_args(options))


@pytest.fixture(autouse=True)
def _no_aws_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")


def test_without_options_the_target_is_aws_and_the_default_stack() -> None:
    assert target() == Target(None, None, "stream-processor")
    assert not target().is_local


def test_the_endpoint_may_come_from_the_environment_and_an_option_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert target().endpoint_url == "http://127.0.0.1:1"
    assert target("--endpoint-url", "http://localhost:2").endpoint_url == "http://localhost:2"


@pytest.mark.parametrize("url", ["http://127.0.0.1:4566", "http://localhost:4566", "http://[::1]:4566"])
def test_loopback_endpoints_are_local(url: str) -> None:
    assert target("--endpoint-url", url).is_local


@pytest.mark.parametrize("url", ["https://kinesis.us-east-1.amazonaws.com", "http://10.0.0.1:4566"])
def test_other_endpoints_are_not_local(url: str) -> None:
    assert not target("--endpoint-url", url).is_local


@pytest.mark.parametrize("url", ["127.0.0.1:4566", "ftp://127.0.0.1", "http://"])
def test_an_endpoint_that_is_no_http_address_is_a_usage_error(url: str) -> None:
    with pytest.raises(CommandError, match="--endpoint-url") as raised:
        target("--endpoint-url", url)
    assert raised.value.exit_status == 2


def test_an_endpoint_where_nobody_listens_is_named_and_infra_up_is_recommended() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        with pytest.raises(CommandError, match="infra up") as raised:
            describe(connect(target("--endpoint-url", url)))
    assert url in str(raised.value)
    assert raised.value.exit_status == 3


def test_missing_credentials_are_explained() -> None:
    with pytest.raises(CommandError, match="no AWS credentials"):
        describe(connect(target("--region", "eu-west-1")))


def test_a_missing_region_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with pytest.raises(CommandError, match="--region") as raised:
        describe(connect(target()))
    assert raised.value.exit_status == 2


@pytest.mark.parametrize(
    ("url", "attempts", "total"), [("http://127.0.0.1:1", None, 2), ("https://10.0.0.1", None, 5), ("https://x", 1, 1)]
)
def test_a_caller_may_say_how_often_a_call_is_tried(
    monkeypatch: pytest.MonkeyPatch, url: str, attempts: int | None, total: int
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    client = connect(target("--endpoint-url", url)).client("kinesis", attempts=attempts)
    assert client.meta.config.retries["total_max_attempts"] == total


def test_clients_with_and_without_retries_are_two_and_each_is_made_once() -> None:
    connection = connect(target("--endpoint-url", "http://127.0.0.1:1"))
    assert connection.client("kinesis", attempts=1) is connection.client("kinesis", attempts=1)
    assert connection.client("kinesis", attempts=1) is not connection.client("kinesis")
