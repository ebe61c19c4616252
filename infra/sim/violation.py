"""DRIVER: a promise that was broken."""


class Violation(Exception):  # noqa: N818  # named for what was found, like the checkers' other words
    """`checker` names the promise, `what` says in one sentence what was seen, and where."""

    def __init__(self, checker: str, what: str) -> None:
        super().__init__(f"{checker}: {what}")
        self.checker, self.what = checker, what

    def __reduce__(self) -> tuple[type["Violation"], tuple[str, str]]:
        return Violation, (self.checker, self.what)
