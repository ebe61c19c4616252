"""KinesisService asked with bytes, at a time that is moved by hand."""

import asyncio
import json
from typing import Any

from infra.local.http import Request, Response
from infra.local.kinesis import KinesisService

ACCOUNT = "000000000000"


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Client:
    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.service = KinesisService(ACCOUNT, "us-east-1", self.clock, **{"transition_s": 0.0, **options})

    def send(self, operation: str, body: bytes, content_type: str = "application/x-amz-json-1.1") -> Response:
        headers = {"x-amz-target": f"Kinesis_20131202.{operation}", "content-type": content_type}
        return asyncio.run(self.service.handle(Request("POST", "/", {}, headers, body)))

    def call(self, operation: str, **members: Any) -> Any:
        response = self.send(operation, json.dumps(members).encode())
        assert response.status == 200, response.body
        return json.loads(response.body) if response.body else None

    def refusal(self, operation: str, **members: Any) -> tuple[str, str]:
        return refused(self.send(operation, json.dumps(members).encode()))


def refused(response: Response) -> tuple[str, str]:
    assert response.status == 400
    error = json.loads(response.body)
    assert response.headers["x-amzn-errortype"] == error["__type"]
    assert response.headers["x-amzn-requestid"]
    assert response.headers["content-type"] == "application/x-amz-json-1.1"
    return error["__type"], error["message"]
