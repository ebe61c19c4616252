"""SHELL: the operations of the Kinesis API on resource policies; `kinesis_operations` lists them with the rest.

A policy is kept and shown, as text, and allows or forbids nothing here.
"""

from collections.abc import Mapping
from typing import Any

from infra.local.kinesis_tags import resource
from infra.model.policies import check_policy
from infra.model.stream_account import StreamAccount
from infra.model.stream_error import not_found

Input = Mapping[str, Any]
Output = dict[str, Any] | None

NO_POLICY = "{}"  # recorded from AWS, for a stream that has none


def put_policy(account: StreamAccount, body: Input, now: float) -> Output:
    stream, _ = resource(account, body, now)
    check_policy(body["Policy"])
    stream.policies[body["ResourceARN"]] = body["Policy"]
    stream.revision += 1
    return None


def get_policy(account: StreamAccount, body: Input, now: float) -> Output:
    stream, _ = resource(account, body, now)
    return {"Policy": stream.policies.get(body["ResourceARN"], NO_POLICY)}


def delete_policy(account: StreamAccount, body: Input, now: float) -> Output:
    stream, _ = resource(account, body, now)
    if stream.policies.pop(body["ResourceARN"], None) is None:
        raise not_found(f"No resource policy found for resource ARN {body['ResourceARN']}")
    stream.revision += 1
    return None
