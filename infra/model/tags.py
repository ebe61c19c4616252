"""PURE: the tags of a stream (AWS: AddTagsToStream, RemoveTagsFromStream, "Tag restrictions")."""

import re
from collections.abc import Iterable, Mapping

from infra.model.stream_error import invalid_argument

TAGS_MAX = 50
_VALUE_MAX = 256
_LEGAL = re.compile(r"[\w\s./=+\-%@:]*")


def added(current: Mapping[str, str], more: Mapping[str, object], stream_name: str, account_id: str) -> dict[str, str]:
    """Current tags with `more` put over them; InvalidArgumentException if AWS would not have them."""
    for key, value in more.items():
        if not isinstance(value, str) or not 1 <= len(key) <= 128 or len(value) > _VALUE_MAX:
            raise invalid_argument(f"The tag {key[:128]} needs a key of 1 to 128 and a value of up to 256 characters.")
        if not _LEGAL.fullmatch(key) or not _LEGAL.fullmatch(value):
            raise invalid_argument(
                "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, "
                "_ . / = + - % @."
            )
    result = {**current, **{key: str(value) for key, value in more.items()}}
    if len(result) > TAGS_MAX:
        raise invalid_argument(
            f"Failed to add tags to stream {stream_name} under account {account_id} because a given stream cannot have "
            f"more than {TAGS_MAX} tags associated with it."
        )
    return result


def removed(current: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    gone = frozenset(keys)
    return {key: value for key, value in current.items() if key not in gone}
