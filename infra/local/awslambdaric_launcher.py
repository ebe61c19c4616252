"""SHELL: first code of an execution environment's process: binds its life to the parent's, then becomes awslambdaric.

Run as a script: `python -P awslambdaric_launcher.py <parent pid> <task root> <handler>`. The kernel kills the process
when its parent dies, however that happens (PR_SET_PDEATHSIG, Linux). Elsewhere an orphan ends at its next call of the
Runtime API. It imports nothing of ours: the path belongs to the function, with the task root first.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def main() -> None:
    parent, task_root, handler = sys.argv[1:4]
    _die_with_parent(int(parent))
    sys.path.insert(0, task_root)
    sys.argv = ["awslambdaric", handler]
    from awslambdaric.__main__ import main as run

    run(sys.argv)


if __name__ == "__main__":
    main()
