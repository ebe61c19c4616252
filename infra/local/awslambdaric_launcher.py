"""SHELL: first code of an execution environment's process: binds its life to the parent's, then becomes awslambdaric.

Run as a script: `python -P awslambdaric_launcher.py <parent pid> <task root> <handler>`. The kernel kills the process
when its parent dies, however that happens (PR_SET_PDEATHSIG, Linux). Elsewhere an orphan ends at its next call of the
Runtime API. It imports nothing of ours: the path belongs to the function, with the task root first.

awslambdaric tells an ImportError without the place where it happened, and other errors without what caused them. The
error that a developer makes first is worth more than that, so the places are sent to the parent beside it, at a path
of the Runtime API that only this file uses; what callers and the log see stays AWS's.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

_PR_SET_PDEATHSIG = 1
_PLACES_PATH = "/local/init/places"
_CAUSES_MAX = 20
_DESCRIPTORS_MAX = 1_024  # AWS: gettingstarted-limits


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def _limit_descriptors() -> None:
    """A function that leaks them fails here after as many as on AWS."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _places(error: BaseException | None) -> Iterator[tuple[str, int]]:
    """File and line of every frame, the error's own first, then those of what caused it."""
    for _ in range(_CAUSES_MAX):
        if error is None:
            return
        for frame in traceback.extract_tb(error.__traceback__, -50):
            yield frame.filename, frame.lineno or 0
        if isinstance(error, SyntaxError) and error.filename:
            yield error.filename, error.lineno or 0
        error = error.__cause__ or error.__context__


def _send_places(error: BaseException) -> None:
    import http.client
    import json

    try:
        connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"], timeout=5)
        connection.request("POST", _PLACES_PATH, json.dumps(list(_places(error))))
        connection.getresponse().read()
        connection.close()
    except (OSError, http.client.HTTPException):
        return  # the error itself is what counts, and it is still to be told


def _tell_where_init_fails(bootstrap: ModuleType) -> None:
    find: Callable[[str], Any] | None = getattr(bootstrap, "_get_handler", None)
    if find is None:  # another version of awslambdaric: its own words must do
        return

    def find_or_tell(handler: str) -> Any:
        try:
            return find(handler)
        except Exception as error:
            _send_places(error)
            raise

    bootstrap._get_handler = find_or_tell  # type: ignore[attr-defined]  # awslambdaric's own


def main() -> None:
    parent, task_root, handler = sys.argv[1:4]
    _die_with_parent(int(parent))
    _limit_descriptors()
    sys.path.insert(0, task_root)
    sys.argv = ["awslambdaric", handler]
    from awslambdaric import bootstrap
    from awslambdaric.__main__ import main as run

    _tell_where_init_fails(bootstrap)
    run(sys.argv)


if __name__ == "__main__":
    main()
