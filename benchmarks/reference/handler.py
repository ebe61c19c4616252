"""The documented Powertools way: deaggregate_records, BatchProcessor, idempotent_function, one table update per event.

As in the Powertools guides for batch processing and idempotency; three DynamoDB calls per event (put the record in
progress, the effect, mark it completed).
"""

import base64
import json
import os
from typing import Any

import boto3
from aws_kinesis_agg.deaggregator import deaggregate_records
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

processor = BatchProcessor(event_type=EventType.KinesisDataStreams)
persistence = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
config = IdempotencyConfig(event_key_jmespath="[source, id]")
table = boto3.resource("dynamodb").Table(os.environ["REFERENCE_TABLE"])


@idempotent_function(data_keyword_argument="event", config=config, persistence_store=persistence)
def count(event: dict[str, Any]) -> dict[str, Any]:
    table.update_item(
        Key={"pk": f"{event['type']}#{event['subject']}", "sk": f"{event['time'][:13]}:00:00Z"},
        UpdateExpression="ADD events :one, sum_bytes :bytes",
        ExpressionAttributeValues={":one": 1, ":bytes": event["data"]["bytes"]},
    )
    return {"ok": True}


def record_handler(record: KinesisStreamRecord) -> None:
    count(event=json.loads(base64.b64decode(record.kinesis.data)))


def handler(event: dict[str, Any], context: Any) -> Any:
    config.register_lambda_context(context)
    records = deaggregate_records(event["Records"])
    return process_partial_response({"Records": records}, record_handler, processor, context)
