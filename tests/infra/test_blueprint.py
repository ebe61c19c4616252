"""The blueprint: the template's own values, and a refusal by path for whatever is wrong, unknown or unresolved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from infra.blueprint import Blueprint, BlueprintError, load
from infra.blueprint.resources import IDENTITIES, NOT_EMULATED_TYPES, PROPERTIES, default_name
from infra.intrinsics import parse
from processor import settings

STACK = {"stack_name": "trial", "account_id": "123456789012", "region": "eu-west-1"}
TEMPLATE = (Path(__file__).resolve().parents[2] / "infra" / "template.yaml").read_text(encoding="utf-8")


def template() -> dict[str, Any]:
    """A small template with one of each end of a mapping; tests change it."""
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": {
            "Shards": {"Type": "Number", "Default": 2, "MinValue": 1, "MaxValue": 4},
            "Mode": {"Type": "String", "Default": "PROVISIONED", "AllowedValues": ["PROVISIONED", "ON_DEMAND"]},
            "Name": {"Type": "String", "Default": "events", "AllowedPattern": "[a-z]+", "MaxLength": 8},
            "Zones": {"Type": "CommaDelimitedList", "Default": "a,b"},
        },
        "Conditions": {"Never": {"Fn::Equals": [{"Ref": "Mode"}, "NONE"]}},
        "Globals": {"Function": {"Timeout": 30, "Environment": {"Variables": {"A": "global", "B": "global"}}}},
        "Resources": {
            "Stream": {"Type": "AWS::Kinesis::Stream", "Properties": {"ShardCount": {"Ref": "Shards"}}},
            "Function": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "Handler": "package.module.handler",
                    "Runtime": "python3.13",
                    "CodeUri": "code/",
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Environment": {"Variables": {"B": {"Ref": "Table"}}},
                },
            },
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}},
            "Mapping": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "EventSourceArn": {"Fn::GetAtt": ["Stream", "Arn"]},
                    "FunctionName": {"Ref": "Function"},
                    "StartingPosition": "TRIM_HORIZON",
                },
            },
            "Table": {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                },
            },
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 60, "SqsManagedSseEnabled": True}},
        },
        "Outputs": {"QueueUrl": {"Value": {"Ref": "Queue"}}},
    }


def read(changed: dict[str, Any], **parameters: str) -> Blueprint:
    return load(yaml.safe_dump(changed), parameters, **STACK)


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(found: dict[str, Any]) -> None:
        *above, last = path.split(".")
        for key in above:
            found = found.setdefault(key, {})
        found[last] = value

    return change


def test_defaults_are_those_of_aws() -> None:
    found = read(template())
    (stream,), (function,), (mapping,), (table,) = found.streams, found.functions, found.mappings, found.tables
    assert (stream.mode, stream.shard_count, stream.retention_hours) == ("PROVISIONED", 2, 24)
    assert (stream.encrypted, stream.record_size_kib_max) == (False, 1024)
    assert (function.memory_mb, function.architecture, function.reserved_concurrency) == (128, "x86_64", None)
    assert function.log_group == f"/aws/lambda/{function.name}"
    assert (mapping.batch_size, mapping.batching_window_s, mapping.parallelization_factor) == (100, 0, 1)
    assert (mapping.retry_attempts_max, mapping.record_age_s_max) == (-1, -1)
    assert mapping.enabled
    assert not mapping.bisect_batch_on_function_error
    assert not mapping.report_batch_item_failures
    assert not mapping.event_count_metrics
    assert mapping.on_failure_destination_arn is None
    assert table.expiry_attribute is None


def test_globals_are_merged_into_functions_and_the_function_wins() -> None:
    found = read(template())
    assert found.functions[0].timeout_s == 30
    assert found.functions[0].environment == {"A": "global", "B": found.tables[0].name}


def test_references_lead_to_the_same_names_and_arns_as_on_aws() -> None:
    found = read(template())
    assert found.mappings[0].function_arn == found.functions[0].arn
    assert found.mappings[0].event_source_arn == found.streams[0].arn
    assert found.streams[0].arn == f"arn:aws:kinesis:eu-west-1:123456789012:stream/{found.streams[0].name}"
    assert found.outputs == {"QueueUrl": f"https://sqs.eu-west-1.amazonaws.com/123456789012/{found.queues[0].name}"}
    assert found.queues[0].properties == {"VisibilityTimeout": 60}
    assert found.not_emulated == ("Role",)


def test_names_and_uuids_depend_on_the_stack_name_and_logical_id_alone() -> None:
    first, again = read(template()), read(template(), Shards="3")
    other = load(yaml.safe_dump(template()), {}, **{**STACK, "stack_name": "other"})
    assert first.streams[0].name == again.streams[0].name
    assert first.mappings[0].uuid == again.mappings[0].uuid
    assert first.streams[0].name != other.streams[0].name
    assert first.mappings[0].uuid != other.mappings[0].uuid


@given(st.sampled_from(sorted(IDENTITIES)), st.from_regex(r"[a-zA-Z][-a-zA-Z0-9]{0,127}", fullmatch=True), st.data())
def test_a_default_name_fits_the_limit_of_its_type(kind: str, stack_name: str, data: st.DataObject) -> None:
    logical_ids = st.from_regex(r"[a-zA-Z0-9]{1,255}", fullmatch=True)
    one, two = data.draw(logical_ids), data.draw(logical_ids)
    name = default_name(kind, stack_name, one)
    assert 1 <= len(name) <= IDENTITIES[kind].name_limit
    assert (name == default_name(kind, stack_name, two)) == (one == two)


def test_a_stream_on_demand_has_no_shard_count() -> None:
    changed = template()
    changed["Resources"]["Stream"]["Properties"] = {"StreamModeDetails": {"StreamMode": {"Ref": "Mode"}}}
    assert read(changed, Mode="ON_DEMAND").streams[0].shard_count is None


def test_a_mapping_at_a_timestamp_starts_at_that_second() -> None:
    changed = template()
    changed["Resources"]["Mapping"]["Properties"] |= {
        "StartingPosition": "AT_TIMESTAMP",
        "StartingPositionTimestamp": 1700000000.5,
    }
    assert read(changed).mappings[0].starting_position_timestamp_s == 1700000000.5
    changed["Resources"]["Mapping"]["Properties"]["StartingPositionTimestamp"] = "noon"
    with pytest.raises(BlueprintError, match="'noon' is not a number of seconds"):
        read(changed)


def test_filters_and_tumbling_windows_of_a_mapping_are_read() -> None:
    """Facts 6.1, 7.1."""
    assert (read(template()).mappings[0].filters, read(template()).mappings[0].tumbling_window_s) == ((), 0)
    changed = template()
    patterns = ['{"data":{"type":["sale"]}}', '{"data":{"n":[{"numeric":[">",1]}]}}']
    changed["Resources"]["Mapping"]["Properties"] |= {
        "FilterCriteria": {"Filters": [{"Pattern": pattern} for pattern in patterns]},
        "TumblingWindowInSeconds": 30,
    }
    [mapping] = read(changed).mappings
    assert mapping.filters == tuple(patterns)
    assert mapping.tumbling_window_s == 30


def test_a_resource_that_its_condition_leaves_out_does_not_exist() -> None:
    changed = template()
    changed["Resources"]["Queue"]["Condition"] = "Never"
    with pytest.raises(BlueprintError) as caught:
        read(changed)
    assert caught.value.path == "Outputs.QueueUrl.Value"
    assert "its condition leaves it out" in caught.value.message
    changed["Outputs"]["QueueUrl"]["Condition"] = "Never"
    assert read(changed).queues == ()
    assert read(changed).outputs == {}


@pytest.mark.parametrize(
    ("change", "path", "complaint"),
    [
        (put("Resources.Stream.Properties.Foo", 1), "Resources.Stream.Properties.Foo", "supported are MaxRecordSize"),
        (
            put("Resources.Stream.Properties.StreamEncryption.Foo", 1),
            "Resources.Stream.Properties.StreamEncryption.Foo",
            "supported are EncryptionType; known, not emulated: KeyId",
        ),
        (
            put("Resources.Mapping.Properties.FilterCriteria", {"Filters": ["{}"]}),
            "Resources.Mapping.Properties.FilterCriteria.Filters",
            "a list of mappings",
        ),
        (
            put("Resources.Mapping.Properties.FilterCriteria", {"Filters": [{"Patern": "{}"}]}),
            "Resources.Mapping.Properties.FilterCriteria.Filters[0].Pattern",
            "is required",
        ),
        (
            put("Resources.Mapping.Properties.TumblingWindowInSeconds", 901),
            "Resources.Mapping.Properties.TumblingWindowInSeconds",
            "allowed is 0 to 900",
        ),
        (
            put("Resources.Mapping.Properties.LoggingConfig", {}),
            "Resources.Mapping.Properties.LoggingConfig",
            "not supported",
        ),
        (put("Resources.Function.Properties.Events", {}), "Resources.Function.Properties.Events", "not supported"),
        (put("Globals.Function.Layers", []), "Globals.Function.Layers", "not supported"),
        (put("Globals.Api", {}), "Globals.Api", "supported is Function"),
        (put("Resources.Machine", {"Type": "AWS::StepFunctions::StateMachine"}), "Resources.Machine", "not supported"),
        (put("Resources.Stream.CreationPolicy", {}), "Resources.Stream.CreationPolicy", "not supported"),
        (put("Resources.Stream.DependsOn", "Nobody"), "Resources.Stream.DependsOn", "there is no resource Nobody"),
        (put("Resources.Stream.Condition", "Nope"), "Resources.Stream", "there is no condition Nope"),
        (put("Rules", {}), "Rules", "not supported"),
        (
            put("Resources.Role.Properties.Path", {"Ref": "Nobody"}),
            "Resources.Role.Properties.Path",
            "cannot resolve Nobody: there is no such parameter or resource",
        ),
        (
            put("Resources.Function.Properties.Role", {"Fn::GetAtt": ["Role", "RoleName"]}),
            "Resources.Function.Properties.Role",
            "Role (AWS::IAM::Role) has no attribute RoleName; supported are Arn",
        ),
        (
            put("Resources.Function.Properties.Role", {"Ref": "AWS::NoValue"}),
            "Resources.Function.Properties.Role",
            "is r",
        ),
        (
            put("Resources.Function.Properties.Timeout", 901),
            "Resources.Function.Properties.Timeout",
            "allowed is 1 to 900",
        ),
        (
            put("Resources.Function.Properties.Environment.Variables.LIST", ["a"]),
            "Resources.Function.Properties.Environment.Variables.LIST",
            "a string is needed here, not a list",
        ),
        (
            put("Resources.Mapping.Properties.ParallelizationFactor", 11),
            "Resources.Mapping.Properties.ParallelizationFactor",
            "11 is not allowed; allowed is 1 to 10",
        ),
        (
            put("Resources.Mapping.Properties.MaximumRecordAgeInSeconds", 59),
            "Resources.Mapping.Properties.MaximumRecordAgeInSeconds",
            "allowed is -1 or 60 to 604800",
        ),
        (
            put("Resources.Mapping.Properties.BatchSize", "ten"),
            "Resources.Mapping.Properties.BatchSize",
            "whole number",
        ),
        (put("Resources.Mapping.Properties.Enabled", "yes"), "Resources.Mapping.Properties.Enabled", "true, false"),
        (
            put("Resources.Mapping.Properties.StartingPosition", "AT_TIMESTAMP"),
            "Resources.Mapping.Properties.StartingPositionTimestamp",
            "goes with StartingPosition AT_TIMESTAMP",
        ),
        (
            put("Resources.Mapping.Properties.FunctionName", "stranger"),
            "Resources.Mapping.Properties.FunctionName",
            "function:stranger is not in this template",
        ),
        (
            put("Resources.Mapping.Properties.DestinationConfig", {"OnFailure": {"Destination": "arn:aws:s3:::other"}}),
            "Resources.Mapping.Properties.DestinationConfig.OnFailure.Destination",
            "arn:aws:s3:::other is not in this template",
        ),
        (
            put("Resources.Table.Properties.KeySchema", {"Ref": "AWS::NoValue"}),
            "Resources.Table.Properties.KeySchema",
            "is r",
        ),
        (
            put("Resources.Stream.Properties.Name", {"Fn::Sub": "${Stream}-1"}),
            "Resources.Stream.Properties.Name",
            "the name refers to itself",
        ),
        (put("Outputs.Bad", {"Value": {"Ref": "Zones"}}), "Outputs.Bad.Value", "a string is needed here, not a list"),
        (put("Parameters.Odd", {"Type": "AWS::SSM::Name"}), "Parameters.Odd", "supported are String, Number, Comma"),
        (put("Parameters.Odd", {"Type": "String", "Foo": 1}), "Parameters.Odd.Foo", "not supported"),
        (put("Parameters.Odd", {"Type": "String"}), "Parameters.Odd", "has no default and no value was given"),
    ],
)
def test_what_is_wrong_or_not_supported_is_refused_by_its_path(
    change: Callable[[dict[str, Any]], None], path: str, complaint: str
) -> None:
    changed = template()
    change(changed)
    with pytest.raises(BlueprintError) as caught:
        read(changed)
    assert caught.value.path == path
    assert complaint in caught.value.message


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("Nobody", "1", "no such parameter; the template has Mode, Name, Shards, Zones"),
        ("Shards", "0", "'0' is not allowed; allowed is 1 to 4"),
        ("Shards", "5", "'5' is not allowed; allowed is 1 to 4"),
        ("Shards", "many", "'many' is not a number"),
        ("Shards", "NaN", "'NaN' is not a number"),
        ("Mode", "FREE", "'FREE' is not allowed; allowed are PROVISIONED, ON_DEMAND"),
        ("Name", "Events", "'Events' is not allowed; allowed is [a-z]+"),
        ("Name", "eventsevents", "'eventsevents' is not allowed; allowed is length at most 8"),
    ],
)
def test_a_parameter_out_of_bounds_is_refused_with_what_is_allowed(name: str, value: str, complaint: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        read(template(), **{name: value})
    assert (caught.value.path, caught.value.message) == (f"Parameters.{name}", complaint)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("stack_name", "9-lives"), ("account_id", "12"), ("region", "us_east_1"), ("stack_name", "")],
)
def test_a_stack_that_aws_would_refuse_is_refused(argument: str, value: str) -> None:
    with pytest.raises(BlueprintError, match="is not allowed"):
        load(yaml.safe_dump(template()), {}, **{**STACK, argument: value})


def test_every_known_resource_type_is_either_emulated_or_known_as_not_emulated() -> None:
    assert set(PROPERTIES) | NOT_EMULATED_TYPES == set(IDENTITIES)
    assert not set(PROPERTIES) & NOT_EMULATED_TYPES


# Every parameter of infra/template.yaml, changed: where the new value must arrive.
ARRIVES: dict[str, tuple[str, Callable[[Blueprint], object], object]] = {
    "StreamMode": ("ON_DEMAND", lambda b: (b.streams[0].mode, b.streams[0].shard_count), ("ON_DEMAND", None)),
    "ShardCount": ("7", lambda b: b.streams[0].shard_count, 7),
    "RetentionHours": ("48", lambda b: b.streams[0].retention_hours, 48),
    "Architecture": ("x86_64", lambda b: b.functions[0].architecture, "x86_64"),
    "MemorySize": ("1769", lambda b: b.functions[0].memory_mb, 1769),
    "Timeout": ("90", lambda b: b.functions[0].timeout_s, 90),
    "ReservedConcurrency": ("20", lambda b: b.functions[0].reserved_concurrency, 20),
    "BatchSize": ("10", lambda b: b.mappings[0].batch_size, 10),
    "BatchingWindowSeconds": ("0", lambda b: b.mappings[0].batching_window_s, 0),
    "ParallelizationFactor": ("10", lambda b: b.mappings[0].parallelization_factor, 10),
    "MaximumRetryAttempts": ("0", lambda b: b.mappings[0].retry_attempts_max, 0),
    "MaximumRecordAgeSeconds": ("60", lambda b: b.mappings[0].record_age_s_max, 60),
    "Measures": ("bytes", lambda b: b.functions[0].environment["MEASURES"], "bytes"),
    "WindowSeconds": ("60", lambda b: b.functions[0].environment["WINDOW_SECONDS"], "60"),
    "RulesModule": ("my.rules", lambda b: b.functions[0].environment["RULES_MODULE"], "my.rules"),
    "QuarantineDays": ("7", lambda b: b.functions[0].environment["QUARANTINE_DAYS"], "7"),
    "SystemicShare": ("0.25", lambda b: b.functions[0].environment["SYSTEMIC_SHARE"], "0.25"),
    "LogRetentionDays": ("7", lambda b: b.log_groups[0].properties["RetentionInDays"], 7),
    "DeletionProtection": (
        "false",
        lambda b: [table.create_parameters["DeletionProtectionEnabled"] for table in b.tables],
        [False, False],
    ),
    "LogLevel": ("DEBUG", lambda b: b.functions[0].environment["POWERTOOLS_LOG_LEVEL"], "DEBUG"),
}
# These only reach what exists on AWS: tests/infra/test_template*.py.
ON_AWS_ONLY = {"AlarmEmail", "FailureDays", "PermissionsBoundaryArn", "ShardMetrics"}


@pytest.mark.parametrize("name", ARRIVES)
def test_a_parameter_of_the_template_arrives_where_it_belongs(name: str) -> None:
    value, at, expected = ARRIVES[name]
    assert at(load(TEMPLATE, {name: value}, **STACK)) == expected
    assert at(load(TEMPLATE, {}, **STACK)) != expected


def test_no_parameter_of_the_template_is_left_out_above() -> None:
    assert set(parse(TEMPLATE)["Parameters"]) == set(ARRIVES) | ON_AWS_ONLY


def test_a_reservation_of_minus_one_reserves_nothing_and_zero_stops_the_function() -> None:
    reserved = [load(TEMPLATE, {"ReservedConcurrency": value}, **STACK).functions[0] for value in ("-1", "0")]
    assert [function.reserved_concurrency for function in reserved] == [None, 0]


@pytest.mark.parametrize("bound", ["MinValue", "MaxValue"])
@pytest.mark.parametrize(
    "name", ["Measures", "WindowSeconds", "QuarantineDays", "SystemicShare", "RulesModule", "LogLevel"]
)
def test_the_function_accepts_every_bound_that_the_template_allows(name: str, bound: str) -> None:
    declared = parse(TEMPLATE)["Parameters"][name]
    values = [str(declared[bound])] if bound in declared else declared.get("AllowedValues", [declared["Default"]])
    if name == "Measures":
        values = ["", "_a-b9," + "x" * 60]
    for value in values:
        settings.load(load(TEMPLATE, {name: value}, **STACK).functions[0].environment)
