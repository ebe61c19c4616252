"""The target is what the options say, and what is wrong with it is said in one sentence."""

import argparse
import socket

import pytest
from botocore.utils import is_valid_endpoint_url, is_valid_ipv6_endpoint_url
from hypothesis import given
from hypothesis import strategies as st

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


NO_ADDRESSES = [
    *("", "127.0.0.1:4566", "ftp://127.0.0.1", "http://", "http://[::1", "http://::1", "http://[127.0.0.1]", "//a"),
    *("http://a:99999", "http://a:-1", "http://a:port", "http://a b", " http://a", "http://a\n", "http://ü"),
    *("http://me:secret@a", "http://a?b", "http://a#b", "http://a..b", "http://-a", "http://a_b", f"http://{'a' * 64}"),
    "http://" + ".".join(["a" * 60] * 5),
]
NO_REGIONS = ["", " ", "us east 1", "us-east-1\n", "-", "12", "a" * 64, "ü", "a.b", "a/b", "\x00"]
NO_STACK_NAMES = ["", " ", "1a", "-a", "a b", "a\x00", "ü", "a" * 129, "a_b", "\udcff"]
NONE_OF_THEM = [
    *(("--endpoint-url", url) for url in NO_ADDRESSES),
    *(("--region", name) for name in NO_REGIONS),
    *(("--stack-name", name) for name in NO_STACK_NAMES),
]


@pytest.mark.parametrize(("option", "value"), NONE_OF_THEM)
def test_what_can_be_no_endpoint_region_or_stack_is_a_usage_error(option: str, value: str) -> None:
    with pytest.raises(CommandError, match=option) as raised:
        target(f"{option}={value}")
    assert raised.value.exit_status == 2
    assert str(raised.value).isprintable()


def test_a_wrong_value_from_the_environment_is_called_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in (("AWS_ENDPOINT_URL", "localhost:4566"), ("AWS_REGION", "us east")):
        with monkeypatch.context() as patched, pytest.raises(CommandError, match=f"^{variable} {value}: "):
            patched.setenv(variable, value)
            target()


@given(st.text() | st.from_regex(r"https?://[\[\]:@?#/.a-z0-9-]{,20}", fullmatch=True))
def test_a_client_can_be_made_for_every_endpoint_that_is_accepted(url: str) -> None:
    """botocore has rules of its own; what it would refuse later is refused before anything else is done."""
    try:
        target(f"--endpoint-url={url}")
    except CommandError as error:
        assert error.exit_status == 2
    else:
        assert is_valid_endpoint_url(url) or is_valid_ipv6_endpoint_url(url)


@pytest.mark.parametrize("name", ["a", "arn:aws:cloudformation:us-east-1:000000000000:stack/mine/6a1b"])
def test_a_stack_has_a_name_or_an_arn(name: str) -> None:
    assert target("--stack-name", name).stack_name == name


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
