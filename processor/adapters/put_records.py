"""SHELL: one PutRecords call, its body written here and everything else about it left to botocore.

botocore checks and copies every record of a call three times on the way into its body, and walks over the answer by the
service's model: for small records that is most of what a producer costs. So botocore is given one record that stands
for all of them. Between its serializer and its signature the body is replaced by the one it would have written, byte
for byte (a test compares them), and the answer's records are taken from the JSON as they are. Endpoint, credentials,
signature, connections, errors and their parsing are botocore's. Only calls made here are touched: a client may be used
for anything else meanwhile, also for PutRecords. A botocore that writes the body in another way (another protocol) is
noticed before anything is sent, and then does all of it itself.
"""

import json
import re
import threading
import time
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.client import BaseClient
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from processor.core.packing import Packed
from processor.core.resend import CallFailed, Entry, NotWritten, Reply, Written, classify

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import PutRecordsRequestEntryTypeDef

Tag = TypeVar("Tag")

# What comes of an answer that is none of PutRecords': its body is cut, or not of its form.
UNREADABLE = (ResponseParserError, AttributeError, KeyError, RecursionError, TypeError, ValueError)

SHARD_ID = re.compile(r"[a-zA-Z0-9_.-]{1,128}")  # AWS: PutRecordsResultEntry

# No byte left this machine: nothing can have been written.
NEVER_SENT = (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError, SSLError)

STANDS_FOR_ALL: Any = ({"Data": b"", "PartitionKey": "-"},)
STAND_IN = b'[{"Data": "", "PartitionKey": "-"}]'  # what botocore writes for it


class _AnotherBodyError(Exception):
    """botocore wrote the stand-in's body in a way that is not known here. Nothing was sent."""


class _Call(threading.local):
    """What the handlers have to know of the call that their thread makes. `records` None: it is not one of ours."""

    records: list[bytes] | None = None
    clock: Callable[[], float] = staticmethod(time.monotonic)
    sent_s: float = 0.0


_call = _Call()


def _write_body(params: dict[str, Any], **_: object) -> None:
    if _call.records is not None:
        body = params["body"]
        before, found, after = body.rpartition(STAND_IN) if isinstance(body, bytes) else (b"", b"", b"")
        if not found:
            raise _AnotherBodyError
        params["body"] = b"".join((before, b"[", *_call.records, b"]", after))


def _note_sent(**_: object) -> None:
    if _call.records is not None:
        _call.sent_s = _call.clock()


def _read_body(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    if _call.records is None or response_dict["status_code"] >= 300:
        return
    try:
        records = json.loads(response_dict["body"])["Records"]
    except (ValueError, KeyError, TypeError):  # botocore says what is wrong with it
        return
    if isinstance(records, list) and all(isinstance(record, dict) for record in records):
        customized_response_dict["Records"] = records
        response_dict["body"] = b"{}"


def _reply(answer: Any) -> Written | NotWritten:
    """Of one record: only what names a shard and a sequence number was written. Raises one of UNREADABLE."""
    if code := answer.get("ErrorCode"):
        if isinstance(code, str) and code.isascii():
            return NotWritten(code, printable(answer.get("ErrorMessage") or ""))
        raise ValueError(f"{code!a:.60} is no ErrorCode")
    shard_id, number = answer["ShardId"], answer["SequenceNumber"]
    if not (isinstance(shard_id, str) and SHARD_ID.fullmatch(shard_id)):
        raise ValueError(f"{shard_id!a:.60} is no ShardId")
    if not (isinstance(number, str) and number.isdigit() and number.isascii()):
        raise ValueError(f"{number!a:.60} is no SequenceNumber")
    return Written(shard_id, number)


def printable(said: object) -> str:
    """Text that can be written down, whatever an answer's JSON has in place of it."""
    return str(said).encode(errors="backslashreplace").decode()


class PutRecords:
    """One PutRecords call, no retry: entries in, the reply per record out. Safe to call from several threads.

    `sent_s`: when this thread's latest call was handed to its connection, complete and signed, on `clock`.
    """

    def __init__(
        self, client: "KinesisClient", stream_name: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client, self._stream_name, self._clock = client, stream_name, clock
        self._writes_bodies = isinstance(client, BaseClient)
        if self._writes_bodies:  # once per client, however many of us it has
            events = client.meta.events
            events.register("before-call.kinesis.PutRecords", _write_body, unique_id="stream-processor-body")
            events.register_first("before-send.kinesis.PutRecords", _note_sent, unique_id="stream-processor-sent")
            events.register("before-parse.kinesis.PutRecords", _read_body, unique_id="stream-processor-answer")

    @property
    def sent_s(self) -> float:
        return _call.sent_s

    def __call__(self, entries: Sequence[Entry[Tag]]) -> Reply:
        """Never raises for what the network or AWS answers."""
        self._note_sent()
        try:
            answers = self._put([entry.record for entry in entries])
            if len(answers) == len(entries):
                return [_reply(answer) for answer in answers]
        except ClientError as error:
            details = error.response["Error"]
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return classify(printable(details.get("Code", "Unknown")), status, printable(details.get("Message", "")))
        except NEVER_SENT as error:
            return CallFailed(type(error).__name__, str(error), transient=True, uncertain=False)
        except HTTPClientError as error:
            return CallFailed(type(error).__name__, str(error), transient=True, uncertain=True)
        except BotoCoreError as error:  # no credentials, bad parameters: asking again changes nothing
            return CallFailed(type(error).__name__, str(error), transient=False, uncertain=False)
        except UNREADABLE as error:
            what = f"PutRecords' answer cannot be read: {type(error).__name__}: {error}"
            return CallFailed("UnreadableAnswer", printable(what), transient=True, uncertain=True)
        what = f"PutRecords answered for {len(answers)} of {len(entries)} records"
        return CallFailed("ResponseMismatch", what, transient=True, uncertain=True)

    def _note_sent(self) -> None:
        _call.sent_s = self._clock()

    def _put(self, records: Sequence[Packed[Tag]]) -> Sequence[Any]:
        """The answers as they are in the JSON. Raises what botocore raises."""
        if not self._writes_bodies:
            return self._client.put_records(StreamName=self._stream_name, Records=as_parameters(records))["Records"]
        _call.records, _call.clock = encoded(records), self._clock
        try:
            answer = self._client.put_records(StreamName=self._stream_name, Records=STANDS_FOR_ALL)
        except _AnotherBodyError:
            self._writes_bodies = False
        else:
            return answer["Records"]
        finally:
            _call.records = None
        return self._put(records)


def as_parameters(records: Iterable[Packed[Tag]]) -> "list[PutRecordsRequestEntryTypeDef]":
    """The `Records` of put_records."""
    parameters: list[PutRecordsRequestEntryTypeDef] = []
    for record in records:
        put: PutRecordsRequestEntryTypeDef = {"Data": record.data, "PartitionKey": record.partition_key}
        if record.explicit_hash_key is not None:
            put["ExplicitHashKey"] = record.explicit_hash_key
        parameters.append(put)
    return parameters


def encoded(records: Sequence[Packed[Tag]]) -> list[bytes]:
    """The same, as the pieces of the JSON that botocore writes for them."""
    pieces: list[bytes] = []
    for record in records:
        pieces += (
            b'{"Data": "',
            b2a_base64(record.data, newline=False),
            _encoded_keys(record.partition_key, record.explicit_hash_key),
            b", ",
        )
    del pieces[-1:]
    return pieces


@lru_cache(maxsize=4096)
def _encoded_keys(partition_key: str, explicit_hash_key: str | None) -> bytes:
    keys = f'", "PartitionKey": {json.dumps(partition_key)}'
    if explicit_hash_key is not None:
        keys += f', "ExplicitHashKey": {json.dumps(explicit_hash_key)}'
    return f"{keys}}}".encode()
