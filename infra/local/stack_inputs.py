"""SHELL: what `infra up` is given and takes from the machine: options, template, data directory, socket."""

import contextlib
import fcntl
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra import blueprint as blueprints
from infra.blueprint import Blueprint
from infra.local import temporary
from infra.local.disk_trouble import reason

HOST = "127.0.0.1"
USAGE, ENVIRONMENT = 2, 3  # exit statuses: what was asked is wrong; the machine does not allow it


class StackError(Exception):
    """`infra up` cannot go on; the text is for the user, `exit_status` for the shell."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What `infra up` was asked for. `port` 0 takes a free one; `data_dir` None is a temporary folder.

    `poll_as_aws`: an idle shard is read once per second, not at once after a put. `mapping_lag_s`: a mapping's change
    is in force so much later than it is reported.
    """

    template: Path
    parameters: Mapping[str, str]
    stack_name: str
    region: str
    account_id: str = "000000000000"
    port: int = 4566
    data_dir: Path | None = None
    poll_as_aws: bool = False
    mapping_lag_s: float = 0.0


def read_template(options: StackOptions) -> Blueprint:
    """What the template describes with these parameters. Raises StackError with the path of what is wrong in it."""
    try:
        text = options.template.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError, too
        is_text = isinstance(error, UnicodeDecodeError)
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text" if is_text else str(error)
        raise StackError(f"{options.template}: cannot read the template: {why}", USAGE) from error
    try:
        return blueprints.load(
            text,
            options.parameters,
            stack_name=options.stack_name,
            account_id=options.account_id,
            region=options.region,
        )
    except blueprints.BlueprintError as error:
        raise StackError(f"{options.template}: {error.path}: {error.message}", USAGE) from error


@contextlib.contextmanager
def data_directory(wanted: Path | None) -> Iterator[Path]:
    """The folder for staged code; a temporary one disappears at the end. One stack at a time may use it."""
    temporary.remove_left_behind()
    try:
        if wanted is None:
            path = temporary.make()
        else:
            path = wanted.resolve()
            path.mkdir(parents=True, exist_ok=True)
        lock = (path / temporary.LOCK).open("w")
    except OSError as error:
        raise StackError(f"--data-dir {wanted}: cannot be used: {error.strerror}", ENVIRONMENT) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"--data-dir {path} is used by another `infra up`: stop it, or choose another folder"
            raise StackError(message, ENVIRONMENT) from error
        try:
            yield path
        finally:
            if wanted is None:
                shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def bind(port: int) -> Iterator[socket.socket]:
    """A bound socket on loopback. Raises StackError that names the port."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen(512)
        except OSError as error:
            message = (
                f"port {port} on {HOST} cannot be used ({error.strerror}): another `infra up` may be running; "
                "stop it, or use --port with another number (0 takes a free one)"
            )
            raise StackError(message, ENVIRONMENT) from error
        yield listener


@contextlib.contextmanager
def writing(data_dir: Path) -> Iterator[None]:
    """What of the start writes to the data directory: raises StackError when it has no room, or takes nothing."""
    try:
        yield
    except OSError as error:
        message = f"the data directory {data_dir} cannot be written ({reason(error)}): make room, or use --data-dir"
        raise StackError(f"{message} with another folder", ENVIRONMENT) from error
