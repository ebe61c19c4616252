"""The control plane's records: whatever a request holds, the answer is a configuration or AWS's refusal."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.model.function.configuration import LATEST, RUNTIMES, Configuration, changed, created, document
from infra.model.function.record import FunctionRecord, ProvisionedConfig
from infra.model.function.refusals import RefusedError

ARN = "arn:aws:lambda:us-east-1:000000000000:function:fn"
ROLE = "arn:aws:iam::000000000000:role/fn-role"
PLAIN = {"FunctionName": "fn", "Runtime": "python3.13", "Role": ROLE, "Handler": "app.handler"}

SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = [
    "Runtime", "Role", "Handler", "Description", "Timeout", "MemorySize", "Environment", "EphemeralStorage",
    "TracingConfig", "LoggingConfig", "Architectures", "PackageType", "SnapStart", "VpcConfig", "Layers", "Tags",
    "RevisionId", "Publish", "DeadLetterConfig", "KMSKeyArn", "Unheard",
]  # fmt: skip
REQUESTS = st.dictionaries(
    st.sampled_from(MEMBERS),
    JSON
    | st.fixed_dictionaries({"Variables": st.dictionaries(st.text(max_size=4), JSON, max_size=2)})
    | st.fixed_dictionaries({"Size": JSON, "Mode": JSON, "ApplyOn": JSON, "LogFormat": JSON, "LogGroup": JSON}),
    max_size=5,
)


def configuration(**changes: Any) -> Configuration:
    return dataclasses.replace(Configuration("fn", ARN, "python3.13", ROLE, "app.handler", "/code"), **changes)


@given(REQUESTS)
def test_no_request_is_answered_by_anything_but_a_valid_configuration_or_a_refusal(request: dict[str, Any]) -> None:
    """fact 11.14"""
    for creating in (True, False):
        try:
            made = created({**PLAIN, **request}, arn=ARN) if creating else changed(configuration(), request)
        except RefusedError as refused:
            assert refused.status in (400, 412)
            assert refused.code.endswith("Exception")
            continue
        assert made.runtime in RUNTIMES
        assert 1 <= made.timeout_s <= 900
        assert 128 <= made.memory_mb <= 10_240
        assert 512 <= made.storage_mb <= 10_240
        assert made.tracing in ("Active", "PassThrough")
        assert all(isinstance(value, str) for value in made.environment.values())
        json.dumps(document(made))


@given(st.lists(st.tuples(st.sampled_from(["publish", "create", "update", "change"]), REQUESTS | st.just({}), JSON)))
def test_no_request_about_versions_and_aliases_is_answered_by_anything_but_a_document_or_a_refusal(
    steps: list[tuple[str, dict[str, Any], Any]],
) -> None:
    record = FunctionRecord(configuration())
    for number, (kind, request, value) in enumerate(steps):
        asked = {"Name": value, "FunctionVersion": "1", "RoutingConfig": value, **request}
        try:
            if kind == "publish":
                json.dumps(document(record.publish({"CodeSha256": value, **request}, revision_id=str(number), now=0.0)))
            elif kind == "create":
                json.dumps(record.create_alias(asked, revision_id=str(number)).document())
            elif kind == "update":
                json.dumps(record.update_alias("live", asked, revision_id=str(number)).document())
            else:
                record.latest = dataclasses.replace(record.latest, description=str(number))
        except RefusedError as refused:
            assert refused.status in (400, 404, 409, 412)
    assert all(alias.version in {LATEST, *record.versions} for alias in record.aliases.values())


def test_a_published_version_never_changes() -> None:
    record = FunctionRecord(configuration(description="one"))
    first = record.publish({}, revision_id="a", now=1.0)
    record.latest = dataclasses.replace(record.latest, description="two", timeout_s=9)
    second = record.publish({"Description": "named"}, revision_id="b", now=2.0)
    assert (first.version, second.version, second.description) == ("1", "2", "named")
    assert record.version("1") == first
    assert record.version(None) == record.version(LATEST) == record.latest
    record.delete_version("2")
    record.latest = dataclasses.replace(record.latest, description="three")
    assert record.publish({}, revision_id="c", now=3.0).version == "3"  # a number is never given twice


def test_a_weighted_alias_gives_each_version_its_share() -> None:
    record = FunctionRecord(configuration())
    record.publish({}, revision_id="a", now=0.0)
    record.latest = dataclasses.replace(record.latest, description="two")
    record.publish({}, revision_id="b", now=0.0)
    routing = {"AdditionalVersionWeights": {"2": 0.25}}
    record.create_alias({"Name": "live", "FunctionVersion": "1", "RoutingConfig": routing}, revision_id="c")
    chosen = [record.version("live", number / 100).version for number in range(100)]
    assert (chosen.count("1"), chosen.count("2")) == (75, 25)


def test_provisioned_concurrency_belongs_to_a_version_once() -> None:
    """fact 8.4"""
    record = FunctionRecord(configuration())
    record.publish({}, revision_id="a", now=0.0)
    record.create_alias({"Name": "live", "FunctionVersion": "1"}, revision_id="b")
    record.create_alias({"Name": "other", "FunctionVersion": LATEST}, revision_id="b")
    record.check_provisionable("live")
    record.provisioned["live"] = ProvisionedConfig(3, 0.0)
    record.check_provisionable("live")
    assert record.provisioned_by_version() == {"1": 3}
    for qualifier, words in (("1", "pointed by"), (LATEST, "unpublished"), ("other", "unpublished"), ("x", "alias")):
        with pytest.raises(RefusedError, match=words):
            record.check_provisionable(qualifier)


def test_snap_start_is_refused_as_it_is_not_reproduced() -> None:
    with pytest.raises(RefusedError, match="SnapStart is not reproduced"):
        created({**PLAIN, "SnapStart": {"ApplyOn": "PublishedVersions"}}, arn=ARN)
    assert created({**PLAIN, "SnapStart": {"ApplyOn": "None"}}, arn=ARN).timeout_s == 3
