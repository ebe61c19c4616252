"""PURE: the tags of a stream (AWS: AddTagsToStream, RemoveTagsFromStream, "Tag restrictions").

Lengths are a matter of the requests' shape. `where` names the stream in messages, which are AWS's own.
"""

import re
from collections.abc import Iterable, Mapping

from infra.model.stream_error import invalid_argument

TAGS_MAX = 50
# Letters, digits and white space of any script, but no tab and no line break.
_LEGAL = re.compile(r"(?:[\w./=+\-%@:]|(?![\t-\r\x1c-\x1f\x85])\s)*")


def added(current: Mapping[str, str], more: Mapping[str, str], where: str) -> dict[str, str]:
    """Current tags with `more` put over them; InvalidArgumentException if AWS would not have them."""
    _check((*more, *more.values()), f"add tags to {where}")
    result = {**current, **more}
    if len(result) > TAGS_MAX:
        raise invalid_argument(
            f"Failed to add tags to {where} because a given stream cannot have more than {TAGS_MAX} tags associated "
            "with it."
        )
    return result


def removed(current: Mapping[str, str], keys: Iterable[str], where: str) -> dict[str, str]:
    """Current tags without those of `keys`; InvalidArgumentException for a key that no tag can have."""
    gone = frozenset(keys)
    _check(gone, f"remove tags from {where}")
    return {key: value for key, value in current.items() if key not in gone}


def _check(texts: Iterable[str], what: str) -> None:
    texts = list(texts)
    if not all(map(_LEGAL.fullmatch, texts)):
        raise invalid_argument(
            "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, "
            "_ . / = + - % @."
        )
    if any("%" in text for text in texts):
        raise invalid_argument(
            f"Failed to {what} because some tags contained illegal characters. The allowed characters are Unicode "
            "letters, white-spaces, '_',',','/','=','+','-','@'."
        )
