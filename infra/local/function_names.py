"""SHELL: the ways in which a caller may name a function (AWS: API_Invoke, FunctionName)."""

import re
from typing import NamedTuple

# name, 123456789012:function:name or a whole ARN; each with or without :qualifier.
_NAME = re.compile(
    r"(?:(?:arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):)?(?P<account>\d{12}):function:|function:)?"
    r"(?P<name>[A-Za-z0-9_-]{1,64})(?::(?P<qualifier>\$LATEST|[A-Za-z0-9_-]{1,128}))?"
)


class UnknownFunctionError(KeyError):
    """No function has that name or ARN; `arn` is what was asked for, spelled out."""

    def __init__(self, arn: str) -> None:
        super().__init__(arn)
        self.arn = arn


class FunctionName(NamedTuple):
    name: str
    arn: str  # without qualifier
    qualifier: str | None

    @property
    def qualified_arn(self) -> str:
        return self.arn if self.qualifier is None else f"{self.arn}:{self.qualifier}"


def parse(text: str, *, region: str, account_id: str) -> FunctionName:
    """Fills in what is missing of the ARN. UnknownFunctionError when it is no name at all."""
    match = _NAME.fullmatch(text)
    if match is None:
        raise UnknownFunctionError(text)
    arn = f"arn:aws:lambda:{match['region'] or region}:{match['account'] or account_id}:function:{match['name']}"
    return FunctionName(match["name"], arn, match["qualifier"])
