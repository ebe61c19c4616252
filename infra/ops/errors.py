"""SHELL: what a command says when it cannot go on, and with which exit status."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

USAGE, ENVIRONMENT = 2, 3


class CommandError(Exception):
    """The text is for the user: what is wrong, where, what to do. `exit_status`: 2 usage, 3 the target."""

    def __init__(self, message: str, exit_status: int = ENVIRONMENT) -> None:
        super().__init__(message)
        self.exit_status = exit_status


def check_words(words: Sequence[str]) -> None:
    """Raises CommandError for `--option=--`, which argparse before Python 3.13 takes for an empty list."""
    for word in words:
        option, equals, value = word.partition("=")
        if equals and value == "--" and option.startswith("-"):
            raise CommandError(f"{option}: -- is no value", USAGE)


@contextmanager
def explained(target: str) -> Iterator[None]:
    """Turns what botocore raises into CommandError. `target` says whom we talk to, e.g. an endpoint's URL or AWS."""
    from botocore import exceptions

    try:
        yield
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
        raise CommandError(
            "no AWS credentials were found: configure them (`aws configure`, or AWS_PROFILE), "
            "or use --endpoint-url for the local stack"
        ) from error
    except exceptions.NoRegionError as error:
        raise CommandError(
            "no AWS region is set: use --region or AWS_REGION, or --endpoint-url for the local stack", USAGE
        ) from error
    except exceptions.SSLError as error:
        raise CommandError(f"{target}: {_distrust(error)}") from error
    except exceptions.ConnectionClosedError as error:
        https = "if that port speaks TLS, use https://; else: " if target.startswith("http://") else ""
        raise CommandError(
            f"{target} closes the connection without an answer: {https}is `infra up` running there?"
        ) from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:  # refused, timed out, closed early
        raise CommandError(
            f"{target} does not answer: is `infra up` running there? Its first line of output names the endpoint"
        ) from error
    except exceptions.ClientError as error:
        problem = error.response.get("Error", {})
        raise CommandError(
            f"{target} refused {error.operation_name}: {problem.get('Code')}: {problem.get('Message')}"
        ) from error
    except (exceptions.BotoCoreError, ValueError) as error:
        raise CommandError(f"{target}: {error}") from error


def _distrust(error: Exception) -> str:
    """Why TLS did not come to be, and what to do. `error`: botocore's SSLError, around urllib3's, around the reason."""
    import ssl

    reason: Any = getattr(error, "kwargs", {}).get("error", error)
    while isinstance(reason, Exception) and reason.args and isinstance(reason.args[0], Exception):
        reason = reason.args[0]
    said = getattr(reason, "verify_message", None) or getattr(reason, "strerror", None) or str(reason)
    bundle = "the bundle of certificates that AWS_CA_BUNDLE or the AWS configuration's ca_bundle names"
    if isinstance(reason, OSError) and not isinstance(reason, ssl.SSLError):
        return f"{bundle} cannot be read: {said}; a file in PEM form is needed there"
    if "NO_CERTIFICATE" in str(reason):
        return f"{bundle} has no certificate in it; a file in PEM form is needed there"
    if "match" in said:
        return f"its certificate is for another name: {said}; use a name that it is for"
    if isinstance(reason, ssl.SSLCertVerificationError):
        if "expired" in said or "not yet" in said:
            return f"its certificate does not hold at this time: {said}; it has to be renewed, or the clock set"
        return f"its certificate is not trusted: {said}; set AWS_CA_BUNDLE to a PEM file of who issued it"
    return f"no TLS there: {said}; if that port speaks plain HTTP, use http://"
