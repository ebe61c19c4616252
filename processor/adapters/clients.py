"""SHELL: one botocore session per process and the clients made from it.

botocore's session instead of boto3's: the same clients, but the import is cheaper and every further client shares the
parsed endpoint data (benchmarks/init.py). Clients never repeat a call by themselves: whether and when to repeat is
decided in core/commit.py, which must know that an answer was lost.
"""

from functools import cache
from typing import Any

from botocore import __version__
from botocore.config import Config
from botocore.session import Session, get_session

CONNECT_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 3.0
"""DynamoDB answers in milliseconds; a call that takes longer is worth a second try more than a longer wait."""

CALL_MAX_S = CONNECT_TIMEOUT_S + READ_TIMEOUT_S
"""How long a call without any answer lasts at most (a trickle of bytes could last longer)."""


@cache
def session() -> Session:
    """The process's botocore session, credentials and region from the environment."""
    return get_session()


def dynamodb() -> Any:
    """A DynamoDB client with explicit timeouts, one attempt per call."""
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"total_max_attempts": 1},
        tcp_keepalive=True,
        parameter_validation=False,  # requests are built by one function with tests
        user_agent=f"Botocore/{__version__}",  # a fixed one: botocore assembles its own anew, twice for every call
    )
    return session().create_client("dynamodb", config=config)


@cache
def s3() -> Any:
    """An S3 client, made when the first large payload has to be kept; it repeats a failed call twice by itself."""
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"total_max_attempts": 3, "mode": "standard"},
        tcp_keepalive=True,
    )
    return session().create_client("s3", config=config)
