"""SHELL: finds the names of a deployed stack through CloudFormation, on AWS and locally with the same calls.

`Target` is what `--endpoint-url`, `--region` and `--stack-name` say; `connect` makes clients for it.
"""

import argparse
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infra.ops.errors import ENVIRONMENT, USAGE, CommandError, explained

if TYPE_CHECKING:
    from boto3.session import Session

DEFAULT_STACK_NAME = "stream-processor"
LOCAL_REGION = "us-east-1"
STACK_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}|arn:[-a-zA-Z0-9:/]{1,1020}")  # or its ARN. AWS: DescribeStacks
A_STACK_NAME = "letters, digits and hyphens are needed, a letter first, at most 128 in all"
HOST_LABEL = re.compile(r"(?!-)[-a-zA-Z0-9]{1,63}(?<!-)")
HOST_MAX = 253
AN_ADDRESS = "an address such as http://127.0.0.1:4566 is needed"
REGION = re.compile(r"(?![0-9]+$)(?!-)[-a-zA-Z0-9]{1,63}(?<!-)")  # it becomes a part of a host's name
A_REGION = "the name of an AWS region such as us-east-1 is needed"
SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class Target:
    """`endpoint_url` None is AWS; `region` None is what the AWS configuration says."""

    endpoint_url: str | None
    region: str | None
    stack_name: str

    @property
    def is_local(self) -> bool:
        """Whether the endpoint is on this machine's loopback."""
        if self.endpoint_url is None:
            return False
        host = urlsplit(self.endpoint_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def __str__(self) -> str:
        return self.endpoint_url or "AWS"


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    """`--endpoint-url`, `--region`, `--stack-name`: the same for every command."""
    parser.add_argument(
        "--endpoint-url", metavar="URL", help="the local stack's endpoint; without it (or AWS_ENDPOINT_URL) it is AWS"
    )
    parser.add_argument("--region", help="AWS region (default: AWS_REGION, then the AWS configuration)")
    parser.add_argument(
        "--stack-name", default=DEFAULT_STACK_NAME, help=f"CloudFormation stack (default {DEFAULT_STACK_NAME})"
    )


def target_of(arguments: argparse.Namespace) -> Target:
    """The target of parsed arguments. Raises CommandError (usage) for what can be no endpoint, region or stack."""
    endpoint_url = _given("--endpoint-url", arguments.endpoint_url, "AWS_ENDPOINT_URL", _is_http_address, AN_ADDRESS)
    region = _given("--region", arguments.region, "AWS_REGION", REGION.fullmatch, A_REGION)
    stack_name: str = arguments.stack_name
    if not STACK_NAME.fullmatch(stack_name):
        raise CommandError(f"--stack-name {_shown(stack_name)}: {A_STACK_NAME}", USAGE)
    return Target(endpoint_url, region, stack_name)


def _given(option: str, value: str | None, variable: str, fits: Callable[[str], object], needed: str) -> str | None:
    """An option that is given empty (`--region "$UNSET"`) is a mistake; an empty variable is none, as for AWS's own
    tools."""
    name, found = (variable, os.environ.get(variable) or None) if value is None else (option, value)
    if found is not None and not fits(found):
        raise CommandError(f"{name} {_shown(found)}: {needed}", USAGE)
    return found


def _shown(value: str) -> str:
    """No control characters to the terminal, and never an empty place in the sentence."""
    return (value if value and value.isprintable() else ascii(value))[:SHOWN_MAX]


def _is_http_address(url: str) -> bool:
    """What botocore takes, found out before anything else is done."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removesuffix(".")
        parts.port  # noqa: B018  # raises for what is no number up to 65535
        if parts.netloc.startswith("["):
            ipaddress.IPv6Address(host)
        is_host = ":" in host or (len(host) <= HOST_MAX and all(map(HOST_LABEL.fullmatch, host.split("."))))
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and is_host and not ("@" in parts.netloc or parts.query or parts.fragment)


class Connection:
    """Clients for one target, made when first asked for. On loopback the key pair is a fixed, meaningless one."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._session: Session | None = None
        self._clients: dict[tuple[str, int | None], Any] = {}

    def client(self, service: str, *, attempts: int | None = None) -> Any:
        """A boto3 client. Raises CommandError when credentials or the region are missing.

        `attempts`: how often a call is tried before it fails; 1 for a caller that counts or repeats attempts itself
        (default: 2 on loopback, 5 elsewhere).
        """
        key = (service, attempts)
        if key not in self._clients:
            with explained(str(self.target)):
                self._clients[key] = self._make(service, attempts)
        return self._clients[key]

    def _make(self, service: str, attempts: int | None) -> Any:
        import boto3
        from botocore import __version__
        from botocore.config import Config

        target = self.target
        if self._session is None:
            key = "test" if target.is_local else None
            region = target.region or (LOCAL_REGION if target.is_local else None)
            self._session = boto3.Session(aws_access_key_id=key, aws_secret_access_key=key, region_name=region)
        retries: Any = {"mode": "standard", "total_max_attempts": attempts or (2 if target.is_local else 5)}
        agent = f"stream-processor Botocore/{__version__}"  # botocore would assemble its own twice for every call
        config = Config(retries=retries, connect_timeout=5, read_timeout=30, tcp_keepalive=True, user_agent=agent)
        return self._session.client(service, endpoint_url=target.endpoint_url, config=config)  # type: ignore[call-overload]  # the stubs want a literal service name


def connect(target: Target) -> Connection:
    return Connection(target)


def describe(connection: Connection) -> Mapping[str, Any]:
    """The stack as DescribeStacks gives it. Raises CommandError when there is no such stack."""
    from botocore.exceptions import ClientError

    target = connection.target
    cloudformation = connection.client("cloudformation")
    with explained(str(target)):
        try:
            stacks: list[Mapping[str, Any]] = cloudformation.describe_stacks(StackName=target.stack_name)["Stacks"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            where = (
                f"at {target}" if target.endpoint_url else f"in {cloudformation.meta.region_name} of this AWS account"
            )
            hint = "use --stack-name" if target.endpoint_url else "use --stack-name and --region, or deploy it first"
            message = f"there is no stack {target.stack_name} {where}: {hint}"
            raise CommandError(message, ENVIRONMENT) from error
    return stacks[0]


def outputs(connection: Connection) -> dict[str, str]:
    """The stack's outputs by key. Raises CommandError."""
    return {output["OutputKey"]: output["OutputValue"] for output in describe(connection).get("Outputs", [])}


def output(connection: Connection, key: str) -> str:
    """One output. Raises CommandError when the stack has none of this name."""
    found = outputs(connection)
    if key not in found:
        known = ", ".join(sorted(found)) or "none"
        raise CommandError(f"the stack {connection.target.stack_name} has no output {key}; it has {known}")
    return found[key]
