"""PURE: the one place that imports the KPL's protobuf messages (package aws-kinesis-agg) and its constants.

The package's generated `messages_pb2` says `import config_pb2`, a module that lies beside it inside the package: it
expects the package's own folder on `sys.path`. Its `deaggregator` module puts the folder there for good, at the front,
for every other import of the process. Here the name exists for the length of one import instead, and the deaggregator
is not imported at all (docs/guarantees.md says what it loses).
"""

import sys
from importlib import import_module
from typing import Any

from aws_kinesis_agg import DIGEST_SIZE, MAGIC
from google.protobuf.message import Error as ProtobufError

__all__ = ["DIGEST_SIZE", "MAGIC", "AggregatedRecord", "ProtobufError"]


def _messages() -> Any:
    before = sys.modules.get("config_pb2")
    sys.modules["config_pb2"] = import_module("aws_kinesis_agg.config_pb2")
    try:
        return import_module("aws_kinesis_agg.messages_pb2")
    finally:
        if before is None:
            del sys.modules["config_pb2"]
        else:
            sys.modules["config_pb2"] = before


AggregatedRecord: Any = _messages().AggregatedRecord
"""The protobuf message class: `partition_key_table`, `explicit_hash_key_table`, `records`."""
