"""PURE: what a template says, as frozen values: a class for each kind of resource, and the deployment of them all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StreamBlueprint:
    logical_id: str
    name: str
    arn: str
    mode: str  # PROVISIONED or ON_DEMAND
    shard_count: int | None  # None when ON_DEMAND
    retention_hours: int
    encrypted: bool
    record_size_kib_max: int


@dataclass(frozen=True, slots=True)
class ConsumerBlueprint:
    """A consumer of a stream, for enhanced fan-out."""

    logical_id: str
    name: str
    arn: str
    stream_arn: str


@dataclass(frozen=True, slots=True)
class FunctionBlueprint:
    logical_id: str
    name: str
    arn: str
    handler: str
    runtime: str
    architecture: str
    code_uri: str  # as written: relative to the template's folder
    memory_mb: int
    timeout_s: int
    reserved_concurrency: int | None
    environment: Mapping[str, str]
    role_arn: str
    log_group: str


@dataclass(frozen=True, slots=True)
class MappingBlueprint:
    logical_id: str
    uuid: str
    function_arn: str
    event_source_arn: str
    starting_position: str
    starting_position_timestamp_s: float | None
    enabled: bool
    batch_size: int
    batching_window_s: int
    parallelization_factor: int
    bisect_batch_on_function_error: bool
    retry_attempts_max: int  # -1: no limit
    record_age_s_max: int  # -1: no limit
    report_batch_item_failures: bool
    on_failure_destination_arn: str | None
    event_count_metrics: bool
    filters: tuple[str, ...] = ()  # patterns as written; the mapping says whether they are valid
    tumbling_window_s: int = 0  # 0: no windows


@dataclass(frozen=True, slots=True)
class TableBlueprint:
    logical_id: str
    name: str
    arn: str
    create_parameters: Mapping[str, Any]  # arguments of boto3's dynamodb create_table
    expiry_attribute: str | None


@dataclass(frozen=True, slots=True)
class NamedBlueprint:
    """A bucket, queue, topic or log group: what its create call needs beyond the name is in `properties`."""

    logical_id: str
    name: str
    arn: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Blueprint:
    stack_name: str
    region: str
    account_id: str
    streams: tuple[StreamBlueprint, ...]
    functions: tuple[FunctionBlueprint, ...]
    mappings: tuple[MappingBlueprint, ...]
    tables: tuple[TableBlueprint, ...]
    buckets: tuple[NamedBlueprint, ...]
    queues: tuple[NamedBlueprint, ...]
    topics: tuple[NamedBlueprint, ...]
    log_groups: tuple[NamedBlueprint, ...]
    not_emulated: tuple[str, ...]  # logical ids of known resources that the local runtime does not create
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]  # the values used, defaults included; lists joined by commas
    consumers: tuple[ConsumerBlueprint, ...] = ()
