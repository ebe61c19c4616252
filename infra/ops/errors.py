"""SHELL: what a command says when it cannot go on, and with which exit status."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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
