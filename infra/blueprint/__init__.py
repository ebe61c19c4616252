"""PURE: the SAM template as frozen, typed values. What is not supported is refused by its path in the template.

`load` reads the template that deploys to AWS; nothing of it is written a second time. infra.intrinsics has the
template's language; here, `parameters` has their values, `resources` the known types and properties, `stack` a
template evaluated for one stack, `readers` typed values out of it, `values` what comes out in the end.
"""

from collections.abc import Mapping

from infra.blueprint.readers import Properties, create_table_parameters, typed
from infra.blueprint.resources import NOT_EMULATED, NOT_EMULATED_TYPES, PROPERTIES
from infra.blueprint.stack import Stack
from infra.blueprint.values import (
    Blueprint,
    ConsumerBlueprint,
    FunctionBlueprint,
    MappingBlueprint,
    NamedBlueprint,
    StreamBlueprint,
    TableBlueprint,
)
from infra.intrinsics import BlueprintError

__all__ = [
    "Blueprint",
    "BlueprintError",
    "ConsumerBlueprint",
    "FunctionBlueprint",
    "MappingBlueprint",
    "NamedBlueprint",
    "StreamBlueprint",
    "TableBlueprint",
    "load",
]


def load(
    template_text: str, parameters: Mapping[str, str], *, stack_name: str, account_id: str, region: str
) -> Blueprint:
    """The deployment that `template_text` describes with these parameter values (the rest are the defaults).

    Every name, ARN and output is what AWS would give, except that what CloudFormation draws at random (suffixes of
    unnamed resources, the mapping's UUID) follows from the stack's name. Raises BlueprintError with the path of
    whatever is wrong or neither reproduced locally nor known.
    """
    stack = Stack(template_text, parameters, stack_name=stack_name, account_id=account_id, region=region)
    types = stack.types()
    properties = {
        logical_id: Properties(stack.properties(logical_id), f"Resources.{logical_id}.Properties")
        for logical_id in types
    }

    def of(kind: str) -> list[tuple[str, Properties]]:
        return [(logical_id, properties[logical_id]) for logical_id, found in types.items() if found == kind]

    def named(kind: str) -> tuple[NamedBlueprint, ...]:
        return tuple(_named(stack, logical_id, kind, found) for logical_id, found in of(kind))

    streams = tuple(_stream(stack, *found) for found in of("AWS::Kinesis::Stream"))
    consumers = tuple(_consumer(stack, *found, streams) for found in of("AWS::Kinesis::StreamConsumer"))
    functions = tuple(_function(stack, *found) for found in of("AWS::Serverless::Function"))
    buckets, queues, topics = map(named, ("AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SNS::Topic"))
    mappings = tuple(_mapping(stack, *found) for found in of("AWS::Lambda::EventSourceMapping"))
    for mapping in mappings:
        _check_ends(mapping, (*streams, *consumers), functions, (*buckets, *queues, *topics))
    return Blueprint(
        stack_name=stack_name,
        region=region,
        account_id=account_id,
        streams=streams,
        functions=functions,
        mappings=mappings,
        tables=tuple(_table(stack, *found) for found in of("AWS::DynamoDB::Table")),
        buckets=buckets,
        queues=queues,
        topics=topics,
        log_groups=named("AWS::Logs::LogGroup"),
        consumers=consumers,
        not_emulated=tuple(logical_id for logical_id, kind in types.items() if kind in NOT_EMULATED_TYPES),
        outputs=stack.outputs(),
        parameters={
            name: value if isinstance(value, str) else ",".join(value) for name, value in stack.parameters.items()
        },
    )


def _stream(stack: Stack, logical_id: str, properties: Properties) -> StreamBlueprint:
    modes = ("PROVISIONED", "ON_DEMAND")
    mode = properties.below("StreamModeDetails").string("StreamMode", "PROVISIONED", modes)
    if mode == "ON_DEMAND" and "ShardCount" in properties.values:
        raise BlueprintError(f"{properties.path}.ShardCount", "is not allowed when StreamMode is ON_DEMAND")
    encryption = properties.below("StreamEncryption")
    return StreamBlueprint(
        logical_id=logical_id,
        name=stack.name(logical_id),
        arn=stack.arn(logical_id),
        mode=mode,
        shard_count=properties.integer("ShardCount", None, 1, 100_000) if mode == "PROVISIONED" else None,
        retention_hours=properties.integer("RetentionPeriodHours", 24, 24, 8760),
        encrypted=bool(encryption.values) and encryption.string("EncryptionType", allowed=("KMS",)) == "KMS",
        record_size_kib_max=properties.integer("MaxRecordSizeInKiB", 1024, 1024, 10240),
    )


def _consumer(
    stack: Stack, logical_id: str, properties: Properties, streams: tuple[StreamBlueprint, ...]
) -> ConsumerBlueprint:
    stream_arn = properties.string("StreamARN")
    known = [stream.arn for stream in streams]
    if stream_arn not in known:
        raise BlueprintError(
            f"{properties.path}.StreamARN",
            f"{stream_arn} is not in this template; its streams are {', '.join(known) or 'none'}",
        )
    return ConsumerBlueprint(
        logical_id=logical_id,
        name=properties.string("ConsumerName"),
        arn=stack.arn(logical_id),
        stream_arn=stream_arn,
    )


def _function(stack: Stack, logical_id: str, properties: Properties) -> FunctionBlueprint:
    name, reserved = stack.name(logical_id), None
    if "ReservedConcurrentExecutions" in properties.values:
        reserved = properties.integer("ReservedConcurrentExecutions", None, 0, 2**31)
    architectures = properties.strings("Architectures", ("arm64", "x86_64")) or ("x86_64",)
    variables = properties.below("Environment").below("Variables")
    return FunctionBlueprint(
        logical_id=logical_id,
        name=name,
        arn=stack.arn(logical_id),
        handler=properties.string("Handler"),
        runtime=properties.string("Runtime"),
        architecture=architectures[0],
        code_uri=properties.string("CodeUri"),
        memory_mb=properties.integer("MemorySize", 128, 128, 10240),
        timeout_s=properties.integer("Timeout", 3, 1, 900),
        reserved_concurrency=reserved,
        environment={key: variables.string(key) for key in variables.values},
        role_arn=properties.string("Role"),
        log_group=properties.below("LoggingConfig").string("LogGroup", f"/aws/lambda/{name}"),
    )


def _mapping(stack: Stack, logical_id: str, properties: Properties) -> MappingBlueprint:
    """Defaults and ranges: AWS: CreateEventSourceMapping."""
    position = properties.string("StartingPosition", allowed=("TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"))
    timestamp_s = properties.seconds("StartingPositionTimestamp")
    if (position == "AT_TIMESTAMP") != (timestamp_s is not None):
        raise BlueprintError(
            f"{properties.path}.StartingPositionTimestamp", "goes with StartingPosition AT_TIMESTAMP, and only with it"
        )
    function = properties.string("FunctionName")
    if not function.startswith("arn:"):
        function = stack.lambda_arn(function)
    responses = properties.strings("FunctionResponseTypes", ("ReportBatchItemFailures",))
    destination = properties.below("DestinationConfig").below("OnFailure")
    return MappingBlueprint(
        logical_id=logical_id,
        uuid=stack.name(logical_id),
        function_arn=function,
        event_source_arn=properties.string("EventSourceArn"),
        starting_position=position,
        starting_position_timestamp_s=timestamp_s,
        enabled=properties.boolean("Enabled", True),
        batch_size=properties.integer("BatchSize", 100, 1, 10_000),
        batching_window_s=properties.integer("MaximumBatchingWindowInSeconds", 0, 0, 300),
        parallelization_factor=properties.integer("ParallelizationFactor", 1, 1, 10),
        bisect_batch_on_function_error=properties.boolean("BisectBatchOnFunctionError", False),
        retry_attempts_max=properties.integer("MaximumRetryAttempts", -1, -1, 10_000),
        record_age_s_max=properties.integer("MaximumRecordAgeInSeconds", -1, 60, 604_800, or_else=-1),
        report_batch_item_failures=bool(responses),
        on_failure_destination_arn=destination.optional("Destination"),
        event_count_metrics=bool(properties.below("MetricsConfig").strings("Metrics", ("EventCount",))),
        filters=tuple(each.string("Pattern") for each in properties.below("FilterCriteria").items("Filters")),
        tumbling_window_s=properties.integer("TumblingWindowInSeconds", 0, 0, 900),
    )


def _check_ends(
    mapping: MappingBlueprint,
    sources: tuple[StreamBlueprint | ConsumerBlueprint, ...],
    functions: tuple[FunctionBlueprint, ...],
    destinations: tuple[NamedBlueprint, ...],
) -> None:
    ends = [
        ("EventSourceArn", mapping.event_source_arn, [source.arn for source in sources], "streams and consumers"),
        ("FunctionName", mapping.function_arn, [function.arn for function in functions], "functions"),
    ]
    if mapping.on_failure_destination_arn is not None:
        arns = [destination.arn for destination in destinations]
        name = "DestinationConfig.OnFailure.Destination"
        ends.append((name, mapping.on_failure_destination_arn, arns, "buckets, queues and topics"))
    for name, arn, known, what in ends:
        if arn not in known:
            raise BlueprintError(
                f"Resources.{mapping.logical_id}.Properties.{name}",
                f"{arn} is not in this template; its {what} are {', '.join(known) or 'none'}",
            )


def _table(stack: Stack, logical_id: str, properties: Properties) -> TableBlueprint:
    name, expiry = stack.name(logical_id), properties.below("TimeToLiveSpecification")
    enabled = bool(expiry.values) and expiry.boolean("Enabled", False)
    return TableBlueprint(
        logical_id=logical_id,
        name=name,
        arn=stack.arn(logical_id),
        create_parameters=create_table_parameters(name, properties),
        expiry_attribute=expiry.string("AttributeName") if enabled else None,
    )


def _named(stack: Stack, logical_id: str, kind: str, properties: Properties) -> NamedBlueprint:
    emulated = {name: value for name, value in properties.values.items() if PROPERTIES[kind][name] != NOT_EMULATED}
    return NamedBlueprint(
        logical_id=logical_id,
        name=stack.name(logical_id),
        arn=stack.arn(logical_id),
        properties=typed(emulated, properties.path),
    )
