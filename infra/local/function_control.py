"""SHELL: Lambda's control plane over functions and versions: create, read, change, publish, delete.

AWS: API_CreateFunction, API_GetFunction, API_ListFunctions, API_UpdateFunctionCode, API_UpdateFunctionConfiguration,
API_PublishVersion, API_ListVersionsByFunction, API_DeleteFunction. A change is done when its answer is given, though
the answer says `Pending` or `InProgress` as AWS's does: clients that wait for it do not wait long.
"""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import uuid
from collections.abc import Mapping
from typing import Any

from infra.local import function_code
from infra.local.function_host import FunctionHost
from infra.local.function_names import FunctionName, parse
from infra.local.function_wire import Functions, answer, content, done, page
from infra.local.http import Request, Response
from infra.model.function.configuration import Configuration, changed, created, document
from infra.model.function.refusals import RefusedError, invalid, needed, no_function, table, text
from infra.model.function.tags import added

_CREATING = {"StateReason": "The function is being created.", "StateReasonCode": "Creating"}


async def create(functions: Functions, request: Request) -> Response:
    asked = content(request)
    needed(asked, "FunctionName")
    name = parse(text(asked, "FunctionName"), region=functions.region, account_id=functions.account_id)
    if name.qualifier is not None:
        raise invalid(f"FunctionName {name.qualified_arn} has a qualifier; a function is created without one")
    configuration = created(asked, arn=name.arn)
    tags = added({}, table(asked, "Tags"))
    code = await _unpacked(functions, name.name, table(asked, "Code"))
    try:
        host = functions.create(configuration, code, tags)
    except RefusedError:
        shutil.rmtree(code.task_root, ignore_errors=True)
        raise
    shown = host.record.latest
    if asked.get("Publish") is True:
        shown = _publish(functions, host, {})
    made = document(shown, arn=shown.qualified_arn if asked.get("Publish") is True else None)
    del made["LastUpdateStatus"]
    return answer({**made, "State": "Pending", **_CREATING}, 201)


def show(functions: Functions, name: str, request: Request) -> Response:
    """GetFunction."""
    host, found, configuration = _version(functions, name, request)
    whole: dict[str, Any] = {
        "Configuration": _shown(configuration, found),
        "Code": {"RepositoryType": "local", "Location": function_location(configuration)},
    }
    reserved = functions.account.reserved(found.name)
    if reserved is not None:
        whole["Concurrency"] = {"ReservedConcurrentExecutions": reserved}
    if host.record.tags:
        whole["Tags"] = dict(host.record.tags)
    return answer(whole)


def function_location(configuration: Configuration) -> str:
    """AWS gives the address of a zip; here it is the folder that runs."""
    return f"file://{configuration.code}"


def show_configuration(functions: Functions, name: str, request: Request) -> Response:
    _, found, configuration = _version(functions, name, request)
    return answer(_shown(configuration, found))


def show_all(functions: Functions, request: Request) -> Response:
    """ListFunctions."""
    which = request.query.get("FunctionVersion")
    if which not in (None, "ALL"):
        raise RefusedError(
            400,
            "ValidationException",
            f"1 validation error detected: Value '{which}' at 'functionVersion' failed to satisfy constraint: "
            "Member must satisfy enum value set: [ALL]",
        )
    listed: list[Mapping[str, Any]] = []
    for name in sorted(functions.hosts):
        record = functions.hosts[name].record
        if which is None:
            listed.append(_in_list(record.latest))
        else:
            versions = (record.latest, *record.versions.values())
            listed += [_in_list(version, version.qualified_arn) for version in versions]
    return page(request, "Functions", listed)


def show_versions(functions: Functions, name: str, request: Request) -> Response:
    """ListVersionsByFunction."""
    host, _ = functions.find(name)
    versions = (host.record.latest, *host.record.versions.values())
    return page(request, "Versions", [_in_list(version, version.qualified_arn) for version in versions])


def update_configuration(functions: Functions, name: str, request: Request) -> Response:
    host = _unqualified(functions, name)
    asked = content(request)
    host.record.check_revision(asked.get("RevisionId"))
    return _replace(functions, host, changed(host.record.latest, asked))


async def update_code(functions: Functions, name: str, request: Request) -> Response:
    host = _unqualified(functions, name)
    asked = content(request)
    host.record.check_revision(asked.get("RevisionId"))
    latest = host.record.latest
    code = await _unpacked(functions, latest.name, asked)
    if functions.hosts.get(latest.name) is not host or asked.get("DryRun") is True:
        shutil.rmtree(code.task_root, ignore_errors=True)
        if asked.get("DryRun") is not True:
            raise no_function(latest.arn)  # it was deleted meanwhile
        return answer(document(latest))
    # The newest configuration again: it may have changed while the code was unpacked.
    with_code = dataclasses.replace(
        host.record.latest, code=str(code.task_root), code_sha256=code.sha256, code_bytes=code.size
    )
    response = _replace(functions, host, with_code)
    if asked.get("Publish") is True:
        version = _publish(functions, host, {})
        return answer(document(version, arn=version.qualified_arn))
    return response


def publish(functions: Functions, name: str, request: Request) -> Response:
    host = _unqualified(functions, name)
    version = _publish(functions, host, content(request))
    return answer(document(version, arn=version.qualified_arn), 201)


def delete(functions: Functions, name: str, request: Request) -> Response:
    host, found = functions.find(name, request.query.get("Qualifier"))
    if found.qualifier is None:
        functions.delete(found.name)
        return done()
    before = host.record.total_provisioned(without="")
    host.record.delete_version(found.qualifier)
    if host.record.total_provisioned(without="") != before:
        functions.account.provision(found.name, host.record.total_provisioned(without=""))
    host.retire(found.qualifier)
    return done()


def _unqualified(functions: Functions, name: str) -> FunctionHost:
    host, found = functions.find(name)
    if found.qualifier not in (None, "$LATEST"):
        raise invalid("This operation is permitted on $LATEST only; versions and aliases cannot be changed by it.")
    return host


def _version(functions: Functions, name: str, request: Request) -> tuple[FunctionHost, FunctionName, Configuration]:
    host, found = functions.find(name, request.query.get("Qualifier"))
    return host, found, host.record.version(found.qualifier)


def _shown(configuration: Configuration, found: FunctionName) -> dict[str, Any]:
    return document(configuration, arn=found.qualified_arn)


def _in_list(configuration: Configuration, arn: str | None = None) -> dict[str, Any]:
    """Lists leave the state out, as AWS's do."""
    hidden = ("State", "LastUpdateStatus")
    return {member: value for member, value in document(configuration, arn=arn).items() if member not in hidden}


def _replace(functions: Functions, host: FunctionHost, configuration: Configuration) -> Response:
    now = functions.clock()
    host.replace_latest(dataclasses.replace(configuration, revision_id=str(uuid.uuid4()), modified_s=now))
    updated = document(host.record.latest)
    updated["LastUpdateStatus"] = "InProgress"
    updated["LastUpdateStatusReason"], updated["LastUpdateStatusReasonCode"] = _CREATING.values()
    return answer(updated)


def _publish(functions: Functions, host: FunctionHost, asked: Mapping[str, Any]) -> Configuration:
    return host.record.publish(asked, revision_id=str(uuid.uuid4()), now=functions.clock())


async def _unpacked(functions: Functions, name: str, code: Mapping[str, Any]) -> function_code.Code:
    zipped = function_code.zip_of(code)
    into = functions.surroundings.code_dir / name / uuid.uuid4().hex
    return await asyncio.to_thread(function_code.unpack, zipped, into)
