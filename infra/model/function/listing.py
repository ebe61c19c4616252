"""PURE: pages of functions, versions and aliases (AWS: API_ListFunctions and its siblings)."""

from infra.model.function.refusals import RefusedError, Violations, invalid

PAGE_MAX = 50  # also when MaxItems says more
_ASKED_MAX = 10_000


def items(asked: str | None) -> int:
    """How many the page has at most, by MaxItems. Raises RefusedError."""
    if asked is None:
        return PAGE_MAX
    if not asked.removeprefix("-").isdecimal() or not asked.isascii() or len(asked) > 10:
        raise RefusedError(400, "SerializationException", "MaxItems is not a number")
    violations = Violations()
    violations.in_range({"MaxItems": int(asked)}, "MaxItems", 1, _ASKED_MAX)
    violations.check()
    return min(int(asked), PAGE_MAX)


def marker(given: str | None) -> int:
    """How many were shown before. Raises RefusedError."""
    if given in (None, ""):
        return 0
    assert given is not None
    if not (given.isascii() and given.isdecimal() and len(given) <= 10):
        raise invalid("Marker is not one that an earlier answer gave")
    return int(given)
