"""SHELL: what functions of the local stack never have, as AWS answers for a function that has none of it.

Reads only, for clients that ask for everything about a function: policies, addresses, settings of asynchronous
invocations, code signing. To set one of these is not served.
"""

from __future__ import annotations

from infra.local.function_wire import Functions, answer
from infra.local.http import Request, Response
from infra.model.function.refusals import RefusedError, no_event_invoke_config, not_found


def policy(functions: Functions, name: str, request: Request) -> Response:
    """GetPolicy."""
    raise _nothing(functions, name, request)


def url(functions: Functions, name: str, request: Request) -> Response:
    """GetFunctionUrlConfig."""
    raise _nothing(functions, name, request)


def urls(functions: Functions, name: str, _request: Request) -> Response:
    """ListFunctionUrlConfigs."""
    functions.find(name)
    return answer({"FunctionUrlConfigs": []})


def event_invoke(functions: Functions, name: str, request: Request) -> Response:
    """GetFunctionEventInvokeConfig."""
    host, found = functions.find(name, request.query.get("Qualifier"))
    raise no_event_invoke_config(f"{host.record.latest.arn}:{found.qualifier or '$LATEST'}")


def code_signing(functions: Functions, name: str, _request: Request) -> Response:
    """GetFunctionCodeSigningConfig."""
    host, _ = functions.find(name)
    return answer({"FunctionName": host.record.latest.name})


def recursion(functions: Functions, name: str, _request: Request) -> Response:
    """GetFunctionRecursionConfig: AWS's default; loops are not looked for here."""
    functions.find(name)
    return answer({"RecursiveLoop": "Terminate"})


def runtime_management(functions: Functions, name: str, request: Request) -> Response:
    """GetRuntimeManagementConfig: AWS's default."""
    host, found = functions.find(name, request.query.get("Qualifier"))
    host.record.version(found.qualifier)
    return answer(
        {"UpdateRuntimeOn": "Auto", "FunctionArn": f"{host.record.latest.arn}:{found.qualifier or '$LATEST'}"}
    )


def _nothing(functions: Functions, name: str, request: Request) -> RefusedError:
    host, found = functions.find(name, request.query.get("Qualifier"))
    host.record.version(found.qualifier)
    return not_found("The resource you requested does not exist.")
