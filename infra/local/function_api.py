"""SHELL: the wire of Lambda's functions: which operation a request is. The paths begin with a date of AWS's choice."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable

from infra.local import function_absent as absent
from infra.local import function_concurrency as concurrency
from infra.local import function_control as control
from infra.local import tags_api
from infra.local.function_invocation import invoke
from infra.local.function_wire import Functions, error
from infra.local.http import Request, Response
from infra.model.function.refusals import RefusedError

_PATH = re.compile(r"/20\d\d-\d\d-\d\d/(.*)", re.DOTALL)
_Answer = Response | Awaitable[Response]

_OF_ALL: dict[tuple[str, str], Callable[[Functions, Request], _Answer]] = {
    ("GET", "functions"): control.show_all,
    ("POST", "functions"): control.create,
    ("GET", "account-settings"): concurrency.account_settings,
}
_OF_ONE: dict[tuple[str, str], Callable[[Functions, str, Request], _Answer]] = {
    ("GET", ""): control.show,
    ("DELETE", ""): control.delete,
    ("GET", "configuration"): control.show_configuration,
    ("PUT", "configuration"): control.update_configuration,
    ("PUT", "code"): control.update_code,
    ("POST", "invocations"): invoke,
    ("GET", "versions"): control.show_versions,
    ("POST", "versions"): control.publish,
    ("GET", "concurrency"): concurrency.show_reserved,
    ("PUT", "concurrency"): concurrency.reserve,
    ("DELETE", "concurrency"): concurrency.unreserve,
    ("GET", "provisioned-concurrency"): concurrency.show_provisioned,
    ("PUT", "provisioned-concurrency"): concurrency.provision,
    ("DELETE", "provisioned-concurrency"): concurrency.unprovision,
    ("GET", "aliases"): concurrency.show_aliases,
    ("POST", "aliases"): concurrency.create_alias,
    ("GET", "policy"): absent.policy,
    ("GET", "url"): absent.url,
    ("GET", "urls"): absent.urls,
    ("GET", "event-invoke-config"): absent.event_invoke,
    ("GET", "code-signing-config"): absent.code_signing,
    ("GET", "recursion-config"): absent.recursion,
    ("GET", "runtime-management-config"): absent.runtime_management,
}
_OF_ALIAS: dict[str, Callable[[Functions, str, str, Request], _Answer]] = {
    "GET": concurrency.show_alias,
    "PUT": concurrency.update_alias,
    "DELETE": concurrency.delete_alias,
}


async def handle(functions: Functions, request: Request) -> Response:
    try:
        answer = _answer(functions, request)
        if answer is not None:
            given = await answer if inspect.isawaitable(answer) else answer
            if request.method != "GET" and not request.path.endswith("/invocations"):
                functions.keep()
            return given
    except RefusedError as refused:
        return error(refused.status, refused.code, refused.message)
    message = f"{request.method} {request.path} is not served by the local stack"
    return error(501, "NotImplementedException", message)


def _answer(functions: Functions, request: Request) -> _Answer | None:
    match = _PATH.fullmatch(request.path)
    if match is None:
        return None
    match match[1].rstrip("/").split("/"):
        case [collection] if (of_all := _OF_ALL.get((request.method, collection))) is not None:
            return of_all(functions, request)
        case ["tags", *_]:
            return _tags(functions, request)
        case ["functions", name] if (of_one := _OF_ONE.get((request.method, ""))) is not None:
            return of_one(functions, name, request)
        case ["functions", name, what] if (of_one := _OF_ONE.get((request.method, what))) is not None:
            return of_one(functions, name, request)
        case ["functions", name, "aliases", alias] if (of_alias := _OF_ALIAS.get(request.method)) is not None:
            return of_alias(functions, name, alias, request)
    return None


def _tags(functions: Functions, request: Request) -> Response:
    """ListTags, TagResource, UntagResource."""
    host, _ = functions.find(tags_api.resource_of(request) or "")
    given, host.record.tags = tags_api.perform(request, host.record.tags)
    return given
