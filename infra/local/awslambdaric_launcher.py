"""SHELL: first code of an execution environment's process: binds its life to the parent's, then becomes awslambdaric.

Run as a script: `python -P awslambdaric_launcher.py <parent pid> <task root> <handler>`. The kernel kills the process
when its parent dies, however that happens (PR_SET_PDEATHSIG, Linux). Elsewhere an orphan ends at its next call of the
Runtime API. It imports nothing of ours: the path belongs to the function, with the task root first.

awslambdaric tells an ImportError without the place where it happened, and the error that a developer makes first is
worth more than that: the trace is added to what it reports. The parent takes the place from there for its own message
and gives callers the document without it, as AWS does.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

_PR_SET_PDEATHSIG = 1


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def _tell_where_imports_fail(bootstrap: ModuleType) -> None:
    find: Callable[[str], Any] | None = getattr(bootstrap, "_get_handler", None)
    if find is None:  # another version of awslambdaric: its own words must do
        return

    def find_or_tell(handler: str) -> Any:
        try:
            return find(handler)
        except Exception as fault:
            cause = fault.__context__
            if isinstance(cause, ImportError) and not getattr(fault, "trace", None):
                fault.trace = traceback.format_tb(cause.__traceback__)  # type: ignore[attr-defined]  # FaultException's
            raise

    bootstrap._get_handler = find_or_tell  # type: ignore[attr-defined]  # awslambdaric's own


def main() -> None:
    parent, task_root, handler = sys.argv[1:4]
    _die_with_parent(int(parent))
    sys.path.insert(0, task_root)
    sys.argv = ["awslambdaric", handler]
    from awslambdaric import bootstrap
    from awslambdaric.__main__ import main as run

    _tell_where_imports_fail(bootstrap)
    run(sys.argv)


if __name__ == "__main__":
    main()
