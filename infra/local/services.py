"""SHELL: ministack as the ASGI application behind the gateway: DynamoDB, S3, SQS, SNS, IAM, CloudWatch, Logs.

It reads its settings from environment variables when it is imported, so `load` sets them first. It must start nothing
besides answering: no MQTT or SFTP listener, no container clean-up of other people's containers.
Calls made from inside the process (deploying, on-failure documents) go through `Services.call`, without a socket.
"""

import json
import logging
import os
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

from infra.local.http import Response

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# What the template may need. Kinesis, Lambda and CloudFormation are absent: the gateway answers them itself.
ENABLED = ("dynamodb", "dynamodbstreams", "s3", "sqs", "sns", "iam", "sts", "kms", "monitoring", "logs")


class ServiceCallError(Exception):
    """A call made inside the process was refused: `operation`, HTTP `status`, AWS error `code` and `message`."""

    def __init__(self, operation: str, status: int, code: str, message: str) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.operation = operation
        self.status = status
        self.code = code
        self.message = message


def settings(*, region: str, account_id: str, port: int, data_dir: Path, keep: bool = False) -> dict[str, str]:
    """Environment variables ministack reads; every one of them is set so that the caller's shell cannot change it.

    `keep`: objects of buckets are written to `data_dir` as they come, and are there again the next time. What else it
    could keep it would only write when it ends properly, which is no help after a crash (tables: `table_store`).
    """
    return {
        "SERVICES": ",".join(ENABLED),
        "MINISTACK_REGION": region,
        "MINISTACK_ACCOUNT_ID": account_id,
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "AUTH": "false",
        "PERSIST_STATE": "0",
        "S3_PERSIST": "1" if keep else "0",
        "LOCALSTACK_PERSISTENCE": "0",
        "STATE_DIR": str(data_dir / "ministack"),
        "S3_DATA_DIR": str(_buckets_folder(data_dir)),
        "LOG_LEVEL": "ERROR",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "CLOUDTRAIL_RECORDING": "0",
        "MINISTACK_WORKER_THREADS": "8",
        # At start and stop ministack removes every container it believes to be its own. Without a socket it does not.
        "DOCKER_HOST": f"unix://{data_dir / 'no-docker.sock'}",
    }


def _buckets_folder(data_dir: Path) -> Path:
    return data_dir / "ministack" / "s3"


def kept_buckets(data_dir: Path, account_id: str) -> list[str]:
    """The buckets of an earlier run. ministack has those again that hold an object; the others are to be created."""
    folder = _buckets_folder(data_dir) / account_id
    return sorted(each.name for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []


def load(*, region: str, account_id: str, port: int, data_dir: Path, keep: bool = False) -> "Services":
    """Imports ministack with our settings. Once per process: a second import would keep the first settings."""
    os.environ.update(settings(region=region, account_id=account_id, port=port, data_dir=data_dir, keep=keep))
    logging.getLogger("ministack").addFilter(_one_line)
    from ministack.app import app  # after the settings: it reads them at import

    return Services(app)


def _one_line(record: logging.LogRecord) -> bool:
    """A request it cannot read makes ministack log a traceback; the request's sender got an error and needs none.

    A table that could not be written (a full disk) has been told once, by `table_store`: not again for every request.
    """
    told = record.exc_info is not None and isinstance(record.exc_info[1], sqlite3.Error)
    record.exc_info = None
    return not told


@dataclass(frozen=True, slots=True)
class Services:
    """The ASGI application, and calls into it without a socket."""

    app: AsgiApp

    async def call(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """One HTTP request to the application. `path` is decoded and may carry `?query`."""
        plain, _, query = path.partition("?")
        sent = False

        async def receive() -> Message:
            nonlocal sent
            if sent:
                return {"type": "http.disconnect"}
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        answer = _Answer()
        all_headers = {"host": "127.0.0.1", "content-length": str(len(body)), **headers}
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": plain,
            "raw_path": quote(plain).encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in all_headers.items()],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
        }
        await self.app(scope, receive, answer.send)
        return answer.response()

    async def call_json(self, target: str, payload: Mapping[str, Any], *, version: str = "1.0") -> dict[str, Any]:
        """An AWS JSON-protocol call, e.g. `DynamoDB_20120810.CreateTable`. Raises ServiceCallError."""
        headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": target}
        response = await self.call("POST", "/", headers=headers, body=json.dumps(payload).encode())
        document = _json_object(response.body)
        if response.status >= 300:
            code = str(document.get("__type", "Unknown")).rpartition("#")[2]
            message = str(document.get("message") or document.get("Message") or response.body[:300])
            raise ServiceCallError(target.rpartition(".")[2], response.status, code, message)
        return document

    async def call_query(self, action: str, version: str, parameters: Mapping[str, str]) -> bytes:
        """An AWS query-protocol call, e.g. SNS `Publish`. Raises ServiceCallError."""
        body = urlencode({"Action": action, "Version": version, **parameters}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        response = await self.call("POST", "/", headers=headers, body=body)
        if response.status >= 300:
            raise _xml_error(action, response)
        return response.body

    async def call_s3(self, method: str, path: str, body: bytes = b"", *, content_type: str | None = None) -> Response:
        """An S3 call on `/bucket[/key][?subresource]`. Raises ServiceCallError."""
        headers = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
        if content_type is not None:
            headers["content-type"] = content_type
        response = await self.call(method, path, headers=headers, body=body)
        if response.status >= 300:
            raise _xml_error(f"s3 {method} {path}", response)
        return response


class _Answer:
    """Collects what the application sends into one Response."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message.get("headers", [])
            }
        elif message["type"] == "http.response.body":
            self.chunks.append(message.get("body", b""))

    def response(self) -> Response:
        headers = {name: value for name, value in self.headers.items() if name != "content-length"}
        return Response(self.status, b"".join(self.chunks), headers)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _xml_error(operation: str, response: Response) -> ServiceCallError:
    code, message = "Unknown", response.body[:300].decode("utf-8", "replace")
    try:
        for element in ElementTree.fromstring(response.body).iter():  # noqa: S314 - made in this process
            name = element.tag.rpartition("}")[2]
            if name == "Code" and element.text:
                code = element.text
            elif name == "Message" and element.text:
                message = element.text
    except ElementTree.ParseError:
        pass
    return ServiceCallError(operation, response.status, code, message)
