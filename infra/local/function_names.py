"""SHELL: the ways in which a caller may name a function (AWS: API_Invoke, FunctionName)."""

import re
from typing import NamedTuple

from infra.model.function.refusals import RefusedError, invalid, not_found

# name, 123456789012:function:name or a whole ARN; each with or without :qualifier.
_NAME = re.compile(
    r"(?:(?:arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):)?(?P<account>\d{12}):function:|function:)?"
    r"(?P<name>[A-Za-z0-9_-]+)(?::(?P<qualifier>\$LATEST|[A-Za-z0-9_-]{1,128}))?"
)
# As AWS shows it when a name does not match.
_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?"
    r"([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?"
)
NAME_MAX = 64
_QUALIFIER = re.compile(r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+")


class FunctionName(NamedTuple):
    name: str
    arn: str  # without qualifier
    qualifier: str | None

    @property
    def qualified_arn(self) -> str:
        return self.arn if self.qualifier is None else f"{self.arn}:{self.qualifier}"


def parse(text: str, *, region: str, account_id: str, qualifier: str | None = None) -> FunctionName:
    """Fills in what is missing of the ARN. `qualifier`: said apart from the name. Raises RefusedError."""
    match = _NAME.fullmatch(text)
    if match is None:
        raise RefusedError(
            400,
            "ValidationException",
            f"1 validation error detected: Value '{text[:200]}' at 'functionName' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {_PATTERN}",
        )
    if len(match["name"]) > NAME_MAX:
        raise invalid(
            f"1 validation error detected: Value '{text[:200]}' at 'functionName' failed to satisfy constraint: "
            f"Member must have length less than or equal to {NAME_MAX}"
        )
    if qualifier is not None and not _QUALIFIER.fullmatch(qualifier):
        raise RefusedError(
            400,
            "ValidationException",
            f"1 validation error detected: Value '{qualifier[:200]}' at 'qualifier' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {_QUALIFIER.pattern}",
        )
    if match["region"] not in (None, region):
        raise not_found(f"Functions from '{match['region']}' are not reachable in this region ('{region}')")
    if match["account"] not in (None, account_id):
        message = f"account {match['account']} is not the one of this stack ({account_id})"
        raise RefusedError(403, "AccessDeniedException", message)
    if qualifier is not None and match["qualifier"] not in (None, qualifier):
        raise invalid("The derived qualifier from the function name does not match the specified qualifier.")
    arn = f"arn:aws:lambda:{region}:{account_id}:function:{match['name']}"
    return FunctionName(match["name"], arn, match["qualifier"] or qualifier)
