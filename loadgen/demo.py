"""SHELL: `make demo`. Starts the local stack, loads it, shows it live until the ledger balances, ends with the report.

The stack and the load are the commands that a user would type; this file only starts them, in that order, and stops
what it started. Its exit status is the load's: non-zero when the ledger does not balance.
"""

import argparse
import contextlib
import json
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

READY_WITHIN_S = 60
STOP_WITHIN_S = 20
CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def command(name: str) -> str:
    """The console script beside the running interpreter."""
    return str(Path(sys.executable).parent / name)


def shown(program: str, arguments: list[str], width: int) -> str:
    """The command as it can be pasted, broken between its words at the terminal's width."""
    rows = [f"$ {program}"]
    for word in map(shlex.quote, arguments):
        if len(rows[-1]) + len(word) + len("  \\") <= width:
            rows[-1] += f" {word}"
        else:
            rows.append(f"    {word}")
    return " \\\n".join(rows)


@contextlib.contextmanager
def local_stack(arguments: list[str]) -> Iterator[dict[str, object]]:
    """`infra up` on a free port; yields its ready line and stops it at the end."""
    print(shown("infra", ["up", *arguments], shutil.get_terminal_size().columns), file=sys.stderr)
    stack = subprocess.Popen([command("infra"), "up", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert stack.stdout is not None
        readable, _, _ = select.select([stack.stdout], [], [], READY_WITHIN_S)
        line = stack.stdout.readline() if readable else ""
        if not line:
            raise SystemExit(f"infra up was not ready within {READY_WITHIN_S} s; its messages are above")
        yield json.loads(line)
    finally:
        stack.send_signal(signal.SIGINT)
        try:
            stack.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            stack.kill()


def cpu_seconds_by_role(root: int) -> dict[str, float]:
    """CPU seconds so far of the endpoint's process and of all execution environments below it, from /proc (Linux)."""
    seconds = {"endpoint (Kinesis, mapping, DynamoDB)": 0.0, "execution environments (the processor)": 0.0}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            used = (int(fields[11]) + int(fields[12])) / CLOCK_TICKS_PER_S
            if int(stat.parent.name) == root:
                # Reaped children (environments that ended) are in cutime and cstime.
                seconds["endpoint (Kinesis, mapping, DynamoDB)"] += used
                seconds["execution environments (the processor)"] += (
                    int(fields[13]) + int(fields[14])
                ) / CLOCK_TICKS_PER_S
            elif int(fields[1]) == root:
                seconds["execution environments (the processor)"] += used
    return seconds


def main(argv: list[str] | None = None) -> int:
    """Run the demo; returns `loadgen run`'s exit status (0: the ledger balances)."""
    parser = argparse.ArgumentParser(
        prog="make demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", default="2500", help="events per second (default 2500)")
    parser.add_argument("--duration", default="30", help="seconds of load (default 30)")
    parser.add_argument("--out", default="out/demo", help="where the reports go (default out/demo)")
    options = parser.parse_args(argv)
    with local_stack(["--port", "0"]) as stack:
        load = [
            "run",
            "--endpoint-url",
            str(stack["endpoint_url"]),
            "--rate",
            options.rate,
            "--duration",
            options.duration,
        ]
        load += ["--aggregate", "100", "--keys", "1000", "--skew", "1.1", "--duplicates", "0.05", "--malformed", "0.01"]
        load += ["--out", options.out]
        print(shown("loadgen", load, shutil.get_terminal_size().columns), file=sys.stderr)
        began = time.monotonic()
        children_before = os.times()
        status = subprocess.run([command("loadgen"), *load], check=False).returncode
        wall_s = time.monotonic() - began
        children = os.times()
        pid = stack["pid"]
        assert isinstance(pid, int)
        shares = cpu_seconds_by_role(pid) if Path("/proc/self/stat").exists() else {}
        shares["load generator"] = sum(children[2:4]) - sum(children_before[2:4])
        print(f"\nWhere the CPU time went ({wall_s:.0f} s of wall time, {os.cpu_count()} cores):")
        for role, used in sorted(shares.items(), key=lambda pair: -pair[1]):
            print(f"  {role:<42} {used:7.1f} s  {100 * used / max(sum(shares.values()), 1e-9):5.1f} %")
    page = Path(options.out).resolve() / "report.html"
    if page.exists():  # the last thing said is the next thing to look at
        print(f"\nThe report, for a browser: {page.as_uri()}", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
