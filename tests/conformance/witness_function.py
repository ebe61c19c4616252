"""The function of the conformance tests: it writes down what it was given, then behaves as it is told.

It runs on AWS as it runs here, from a zip with this file alone. `BEHAVIOUR` (JSON) tells: `sleep_s`; `poison`, a piece
of data that fails; `partial`, whether it fails by batchItemFailures or by an exception; `failures`, how often at most;
`state`, whether it answers with the number of records so far, as a function of tumbling windows does.
"""

import base64
import json
import os
import time
import uuid
from typing import Any

import boto3

BEHAVIOUR = json.loads(os.environ["BEHAVIOUR"])
TABLE = os.environ["WITNESS_TABLE"]
NAME = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
ENDPOINT_URL = os.environ.get("WITNESS_ENDPOINT_URL")  # of an emulator
LOCAL: dict[str, Any] = {
    "endpoint_url": ENDPOINT_URL,
    "region_name": "us-east-1",
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
}
dynamodb: Any = boto3.client("dynamodb", **(LOCAL if ENDPOINT_URL else {}))


def handler(event: dict[str, Any], context: Any) -> Any:
    records = event["Records"]
    key = {"pk": {"S": NAME}, "sk": {"S": f"{time.time():017.6f}#{uuid.uuid4()}"}}
    told = {name: value for name, value in event.items() if name != "Records"}
    first = json.dumps(records[:1])
    item = {
        "request_id": {"S": context.aws_request_id},
        "began": {"N": f"{time.time():.6f}"},
        "event_bytes": {"N": str(len(json.dumps(event, separators=(",", ":"))))},
        "told": {"S": json.dumps(told)},
        "first": {"S": first if len(first) < 100_000 else "[]"},
        "records": {"S": json.dumps([_short(record) for record in records])},
    }
    dynamodb.put_item(TableName=TABLE, Item=key | item)
    time.sleep(BEHAVIOUR.get("sleep_s", 0))
    try:
        return _answer(event, records)
    finally:
        dynamodb.update_item(
            TableName=TABLE,
            Key=key,
            UpdateExpression="SET ended = :now",
            ExpressionAttributeValues={":now": {"N": f"{time.time():.6f}"}},
        )


def _short(record: dict[str, Any]) -> list[str]:
    kinesis = record["kinesis"]
    data = base64.b64decode(kinesis["data"])
    return [kinesis["sequenceNumber"], kinesis["partitionKey"], data[:200].decode("utf-8", "replace")]


def _answer(event: dict[str, Any], records: list[dict[str, Any]]) -> Any:
    answer: dict[str, Any] = {}
    if BEHAVIOUR.get("state"):
        answer["state"] = {"records": event["state"].get("records", 0) + len(records)}
    poison = BEHAVIOUR.get("poison")
    for record in records if poison else []:
        if poison in base64.b64decode(record["kinesis"]["data"]).decode("utf-8", "replace"):
            if not BEHAVIOUR.get("partial"):
                raise ValueError("a poisoned record")
            answer["batchItemFailures"] = [{"itemIdentifier": record["kinesis"]["sequenceNumber"]}]
            break
    return answer
