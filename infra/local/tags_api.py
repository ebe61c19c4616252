"""SHELL: the wire of Lambda's tags, `/2017-03-31/tags/<ARN>`, for whatever has them: functions and mappings."""

from collections.abc import Mapping

from infra.local.function_wire import answer, content, done
from infra.local.http import Request, Response
from infra.model.function.refusals import RefusedError, table
from infra.model.function.tags import check_resource, tagged, untagged

_COLLECTION = "/tags/"


def resource_of(request: Request) -> str | None:
    """The ARN whose tags the request is about; None if it is about none. Raises RefusedError."""
    _, found, arn = request.path.partition(_COLLECTION)
    if not found:
        return None
    check_resource(arn)
    return arn


def perform(request: Request, current: Mapping[str, str]) -> tuple[Response, Mapping[str, str]]:
    """The answer, and what the tags are from now on. Raises RefusedError."""
    match request.method:
        case "GET":
            return answer({"Tags": dict(current)}), current
        case "POST":
            return done(), tagged(current, table(content(request), "Tags"))
        case "DELETE":
            return done(), untagged(current, request.all_of("tagKeys"))
    raise RefusedError(405, "MethodNotAllowedException", f"{request.method} {request.path} is not an operation")
