"""PURE: what a stream refuses, in the names and words of AWS."""


class StreamError(Exception):
    """`code` is the name of AWS's exception, `message` its text. The caller's fault."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Throttled(StreamError):  # noqa: N818 - AWS's word for it, like the outcome of an invocation
    """A shard's quota is used up and nothing was done; it is there again at `ready_at_s` unless others take it."""

    def __init__(self, message: str, ready_at_s: float) -> None:
        super().__init__("ProvisionedThroughputExceededException", message)
        self.ready_at_s = ready_at_s


def invalid_argument(message: str) -> StreamError:
    return StreamError("InvalidArgumentException", message)


def not_found(message: str) -> StreamError:
    return StreamError("ResourceNotFoundException", message)


def limit_exceeded(message: str) -> StreamError:
    return StreamError("LimitExceededException", message)


def in_use(message: str) -> StreamError:
    return StreamError("ResourceInUseException", message)
