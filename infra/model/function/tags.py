"""PURE: the tags of functions and event source mappings (AWS: API_TagResource, API_UntagResource, API_ListTags).

The words are those that AWS was recorded with.
"""

import re
from collections.abc import Iterable, Mapping

from infra.model.function.refusals import RefusedError, Violations, invalid, not_found, text

TAGS_MAX = 50
RESOURCE = re.compile(
    r"arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:"
    r"(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|"
    r"code-signing-config:csc-[a-z0-9]{17}|"
    r"event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|"
    r"capacity-provider:[a-zA-Z0-9-_]+)"
)


def check_resource(arn: str) -> None:
    """Raises RefusedError for what is no ARN of something that may have tags."""
    violations = Violations()
    if not RESOURCE.fullmatch(arn):
        violations.add(arn, "resource", f"Member must satisfy regular expression pattern: {RESOURCE.pattern}")
    violations.check()
    if ":function:" in arn and arn.count(":") > 6:
        raise invalid("Tags on function aliases and versions are not supported. Please specify a function ARN.")


def added(current: Mapping[str, str], more: Mapping[str, object]) -> dict[str, str]:
    """Current tags with `more` put over them. RefusedError."""
    result = {**current, **{key: text(more, key) for key in more}}
    if len(result) > TAGS_MAX:
        raise invalid("Number of tags exceeds resource tag limit.")
    return result


def tagged(current: Mapping[str, str], more: Mapping[str, object]) -> dict[str, str]:
    """The same for TagResource, which needs a tag. RefusedError."""
    if not more:
        raise invalid("An error occurred and the request cannot be processed.")
    return added(current, more)


def untagged(current: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """Current tags without those of `keys`, of which there must be one. RefusedError."""
    gone = frozenset(keys)
    violations = Violations()
    if not gone:
        violations.add(None, "tagKeys", "Member must not be null")
    violations.check()
    return {key: value for key, value in current.items() if key not in gone}


def no_mapping(arn: str) -> RefusedError:
    return not_found(f"Event source mapping not found: {arn}")
