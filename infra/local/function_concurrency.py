"""SHELL: Lambda's control plane over concurrency and aliases.

AWS: API_PutFunctionConcurrency, API_PutProvisionedConcurrencyConfig, API_CreateAlias, API_GetAccountSettings and their
siblings. What is allowed is decided by the account and by the function's record.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from infra.local.function_code import UNZIPPED_BYTES_MAX, ZIPPED_BYTES_MAX
from infra.local.function_host import FunctionHost
from infra.local.function_wire import Functions, answer, content, done, page
from infra.local.http import Request, Response
from infra.model.function import ConcurrencyRefusedError, Provisioned
from infra.model.function.record import ProvisionedConfig
from infra.model.function.refusals import RefusedError, Violations, invalid, no_alias, no_function

TOTAL_CODE_BYTES_MAX = 80_530_636_800


def reserve(functions: Functions, name: str, request: Request) -> Response:
    """PutFunctionConcurrency."""
    asked = content(request)
    host = _unqualified(functions, name)
    _check_number(asked, "ReservedConcurrentExecutions", 0)
    reserved: int = asked["ReservedConcurrentExecutions"]
    try:
        functions.account.reserve(host.record.latest.name, reserved)
    except ConcurrencyRefusedError as refused:
        raise invalid(str(refused)) from refused
    return answer({"ReservedConcurrentExecutions": reserved})


def show_reserved(functions: Functions, name: str, _request: Request) -> Response:
    """GetFunctionConcurrency."""
    host, _ = functions.find(name)
    reserved = functions.account.reserved(host.record.latest.name)
    return answer({} if reserved is None else {"ReservedConcurrentExecutions": reserved})


def unreserve(functions: Functions, name: str, _request: Request) -> Response:
    """DeleteFunctionConcurrency."""
    functions.account.reserve(_unqualified(functions, name).record.latest.name, None)
    return done()


def provision(functions: Functions, name: str, request: Request) -> Response:
    """PutProvisionedConcurrencyConfig."""
    host, qualifier = _qualified(functions, name, request)
    asked = content(request)
    _check_number(asked, "ProvisionedConcurrentExecutions", 1)
    requested: int = asked["ProvisionedConcurrentExecutions"]
    host.record.check_provisionable(qualifier)
    try:
        functions.account.provision(
            host.record.latest.name, host.record.total_provisioned(without=qualifier) + requested
        )
    except ConcurrencyRefusedError as refused:
        raise invalid(str(refused)) from refused
    config = host.record.provisioned[qualifier] = ProvisionedConfig(requested, functions.clock())
    host.apply_provisioned()
    starting = Provisioned(requested, 0, failed=False)
    return answer(_provisioned_document(config, starting), 202)


def show_provisioned(functions: Functions, name: str, request: Request) -> Response:
    """GetProvisionedConcurrencyConfig, and ListProvisionedConcurrencyConfigs with `List=ALL`."""
    if request.query.get("List") == "ALL":
        host, _ = functions.find(name)
        return answer(
            {
                "ProvisionedConcurrencyConfigs": [
                    {
                        "FunctionArn": f"{host.record.latest.arn}:{qualifier}",
                        **_provisioned_document(config, _state(host, qualifier)),
                    }
                    for qualifier, config in host.record.provisioned.items()
                ]
            }
        )
    host, qualifier = _qualified(functions, name, request)
    config = host.record.provisioned_config(qualifier)
    return answer(_provisioned_document(config, _state(host, qualifier)))


def unprovision(functions: Functions, name: str, request: Request) -> Response:
    """DeleteProvisionedConcurrencyConfig; none being there is no error."""
    host, qualifier = _qualified(functions, name, request)
    host.record.check_qualifier(qualifier)
    host.record.provisioned.pop(qualifier, None)
    _apply(functions, host)
    return done()


def account_settings(functions: Functions, _request: Request) -> Response:
    hosts = functions.hosts.values()
    used = sum(version.code_bytes for h in hosts for version in (h.record.latest, *h.record.versions.values()))
    limit = {
        "TotalCodeSize": TOTAL_CODE_BYTES_MAX,
        "CodeSizeUnzipped": UNZIPPED_BYTES_MAX,
        "CodeSizeZipped": ZIPPED_BYTES_MAX,
        "ConcurrentExecutions": functions.account.concurrency_max,
        "UnreservedConcurrentExecutions": functions.account.unreserved,
    }
    return answer({"AccountLimit": limit, "AccountUsage": {"TotalCodeSize": used, "FunctionCount": len(hosts)}})


def create_alias(functions: Functions, name: str, request: Request) -> Response:
    host, _ = functions.find(name)
    alias = host.record.create_alias(content(request), revision_id=str(uuid.uuid4()))
    return answer(alias.document(), 201)


def show_aliases(functions: Functions, name: str, request: Request) -> Response:
    host, _ = functions.find(name)
    version = request.query.get("FunctionVersion")
    aliases = sorted(host.record.aliases.values(), key=lambda alias: alias.name)
    return page(request, "Aliases", [alias.document() for alias in aliases if version in (None, alias.version)])


def show_alias(functions: Functions, name: str, alias: str, _request: Request) -> Response:
    host, _ = functions.find(name)
    return answer(host.record.alias(alias).document())


def update_alias(functions: Functions, name: str, alias: str, request: Request) -> Response:
    host, _ = functions.find(name)
    updated = host.record.update_alias(alias, content(request), revision_id=str(uuid.uuid4()))
    host.apply_provisioned()
    return answer(updated.document())


def delete_alias(functions: Functions, name: str, alias: str, _request: Request) -> Response:
    host, _ = functions.find(name)
    host.record.delete_alias(alias)
    _apply(functions, host)
    return done()


def _unqualified(functions: Functions, name: str) -> FunctionHost:
    try:
        host, found = functions.find(name)
    except RefusedError as refused:
        if refused.message.startswith("Function not found: ") and refused.message.count(":") == 7:
            raise no_function(f"{refused.message.removeprefix('Function not found: ')}:$LATEST") from refused
        raise
    if found.qualifier is not None:
        raise invalid(
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this "
            "operation. Please specify either a function name or an unqualified function ARN."
        )
    return host


def _qualified(functions: Functions, name: str, request: Request) -> tuple[FunctionHost, str]:
    """AWS looks for the alias or version first, so a function that is missing is told as that."""
    qualifier = request.query.get("Qualifier", "")
    try:
        host, found = functions.find(name, qualifier or None)
    except RefusedError as refused:
        arn = refused.message.removeprefix("Function not found: ")
        if refused.message == arn or qualifier.isdecimal() or qualifier == "$LATEST":
            raise
        raise no_alias(arn) from refused
    if found.qualifier is None:
        raise invalid("The function resource provided must be an alias or a published version.")
    return host, found.qualifier


def _check_number(asked: dict[str, Any], member: str, low: int) -> None:
    violations = Violations()
    if asked.get(member) is None:
        violations.add(None, member[:1].lower() + member[1:], "Member must not be null")
    violations.in_range(asked, member, low, 2**31 - 1)
    violations.check()


def _apply(functions: Functions, host: FunctionHost) -> None:
    """Less than before: the account never refuses that."""
    functions.account.provision(host.record.latest.name, host.record.total_provisioned(without=""))
    host.apply_provisioned()


def _state(host: FunctionHost, qualifier: str) -> Provisioned:
    machine = host.machine(host.record.version(qualifier).version)
    assert machine is not None, "a version with provisioned concurrency has a machine"
    return machine.provisioned


def _provisioned_document(config: ProvisionedConfig, state: Provisioned) -> dict[str, Any]:
    modified = datetime.fromtimestamp(config.modified_s, UTC)
    shown: dict[str, Any] = {
        "RequestedProvisionedConcurrentExecutions": config.requested,
        "AvailableProvisionedConcurrentExecutions": state.available,
        "AllocatedProvisionedConcurrentExecutions": state.available,
        "Status": state.status,
        "LastModified": f"{modified:%Y-%m-%dT%H:%M:%S}+0000",
    }
    if state.failed:
        shown["StatusReason"] = "FUNCTION_ERROR_INIT_FAILURE"
    return shown
