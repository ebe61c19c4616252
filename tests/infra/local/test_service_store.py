"""What buckets, queues and topics are is on disk before the request that changed it is answered, and is there again."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from infra.blueprint import NamedBlueprint
from infra.local.deploy import _create_queue
from infra.local.service_store import SERVICES, ServiceStore, StoreError
from infra.local.services import Message, Services

SNS = "2010-03-31"


@pytest.fixture
def kept(services: Services, tmp_path: Path) -> Services:
    store = ServiceStore(tmp_path)
    store.restore()
    return Services(store.around(services.app))


def sqs(services: Services, operation: str, **payload: Any) -> dict[str, Any]:
    return asyncio.run(services.call_json(f"AmazonSQS.{operation}", payload))


def on_disk(folder: Path) -> dict[str, float]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize(
    "text",
    ["", "\udcff", "[]", '{"format": 1}', '{"format": 9, "state": {}}', '{"format": 1, "state": {"queues": {"a": 1}}}'],
    ids=["empty", "no text", "list", "nothing in it", "another version", "no queues"],
)
def test_what_cannot_be_read_is_an_error_that_names_the_file(services: Services, tmp_path: Path, text: str) -> None:
    (tmp_path / "sqs.json").write_text(text, errors="surrogateescape")
    with pytest.raises(StoreError, match=r"sqs\.json"):
        ServiceStore(tmp_path).restore()


def test_a_change_is_on_disk_before_it_is_answered(services: Services, tmp_path: Path) -> None:
    order: list[str] = []
    store = ServiceStore(tmp_path)
    app = store.around(services.app)

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Message) -> None:
            order.append(f"{message['type']} {(tmp_path / 's3.json').exists()}")
            await send(message)

        await app(scope, receive, sending)

    asyncio.run(Services(watched).call_s3("PUT", "/kept-ordered"))
    assert order[0] == "http.response.start True"
    state = json.loads((tmp_path / "s3.json").read_text())["state"]
    assert any(name.endswith("'kept-ordered'") for name in state["buckets_meta"]["data"])


def test_objects_messages_and_questions_write_nothing(kept: Services, tmp_path: Path) -> None:
    asyncio.run(kept.call_s3("PUT", "/kept-busy"))
    queue = sqs(kept, "CreateQueue", QueueName="kept-busy")["QueueUrl"]
    topic = "arn:aws:sns:us-east-1:000000000000:kept-busy"
    asyncio.run(kept.call_query("CreateTopic", SNS, {"Name": "kept-busy"}))
    before = on_disk(tmp_path)
    assert set(before) == {f"{service}.json" for service in SERVICES}

    asyncio.run(kept.call_s3("PUT", "/kept-busy/key", b"body"))
    asyncio.run(kept.call_s3("GET", "/kept-busy"))
    sqs(kept, "SendMessage", QueueUrl=queue, MessageBody="secret")
    sqs(kept, "ReceiveMessage", QueueUrl=queue)
    asyncio.run(kept.call_query("Publish", SNS, {"TopicArn": topic, "Message": "secret"}))
    assert on_disk(tmp_path) == before
    assert "secret" not in "".join(path.read_text() for path in tmp_path.iterdir())


def test_a_disk_that_takes_nothing_is_told_and_the_change_is_written_with_the_next(
    kept: Services, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "sqs.new").mkdir()
    queue = sqs(kept, "CreateQueue", QueueName="kept-full")["QueueUrl"]
    assert "cannot be written" in caplog.text
    (tmp_path / "sqs.new").rmdir()
    sqs(kept, "TagQueue", QueueUrl=queue, Tags={"a": "b"})
    assert "kept-full" in (tmp_path / "sqs.json").read_text()


def test_a_queue_of_the_template_that_was_set_otherwise_is_as_the_template_says(kept: Services) -> None:
    queue = sqs(kept, "CreateQueue", QueueName="kept-set", Attributes={"VisibilityTimeout": "7"})["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:000000000000:kept-set"
    asyncio.run(_create_queue(kept, NamedBlueprint("Queue", "kept-set", arn, {"VisibilityTimeout": "9"})))
    attributes = sqs(kept, "GetQueueAttributes", QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert attributes["VisibilityTimeout"] == "9"
