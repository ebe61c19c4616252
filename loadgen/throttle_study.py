"""SHELL: `python -m loadgen.throttle_study`: drives a local stack into each of four limits, and looks at the reports.

Each case is a `loadgen run` of its own, as a user types it, against a stack that this command starts and stops. Exit
status: 0 when every report names its limit, and nothing was lost or applied twice; 1 otherwise; 130 interrupted.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.ops.errors import CommandError
from infra.ops.outputs import DEFAULT_STACK_NAME, Connection, Target
from loadgen.arguments import folder
from loadgen.demo import command, local_stack
from loadgen.observing.readback import find_stack
from loadgen.sweep.scaling_document import insert
from loadgen.sweep.throttling import CASES, Case, Outcome, document, judge, markdown
from loadgen.sweeping.stack import Tuner

OK, FAILED, INTERRUPTED = 0, 1, 130
READ_EVERY_S = 0.05
METRICS_WAIT_S = "11"  # the local stack hands its metrics over every 10 s
DOCUMENT, TABLE = "throttling.json", "throttling.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m loadgen.throttle_study", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=folder, default=Path("out/throttling"), help="default out/throttling")
    parser.add_argument("--into", type=Path, metavar="FILE", help="also write the table into this Markdown document")
    options = parser.parse_args(argv)
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    words = ["python", "-m", "loadgen.throttle_study", *(sys.argv[1:] if argv is None else argv)]
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        with local_stack(["--port", "0"]) as ready:
            target = Target(str(ready["endpoint_url"]), str(ready["region"]), DEFAULT_STACK_NAME)
            outcomes = [_drive_twice(Connection(target), case, options.out) for case in CASES]
    except CommandError as error:
        sys.stderr.write(f"throttle_study: {error}\n")
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    found = document(outcomes, words, started)
    (options.out / DOCUMENT).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (options.out / TABLE).write_text(markdown(outcomes), encoding="utf-8")
    if options.into is not None:
        options.into.write_text(insert(options.into.read_text(encoding="utf-8"), markdown(outcomes)), encoding="utf-8")
    sys.stdout.write(f"\n{markdown(outcomes)}\nResults: {options.out}/{DOCUMENT}, {TABLE}, a report.html per limit\n")
    for outcome in outcomes:
        for problem in outcome.problems:
            sys.stderr.write(f"throttle_study: {outcome.case.limit}: {problem}\n")
    return OK if found["passed"] else FAILED


def _drive_twice(connection: Connection, case: Case, out: Path) -> Outcome:
    """Once more, when this machine had no time to send: that says nothing of the stack."""
    outcome = _drive(connection, case, out)
    if not outcome.passed and outcome.is_late:
        sys.stderr.write(f"{case.limit}: the sender was late, so the load is not what it should be: once more\n")
        outcome = _drive(connection, case, out)
    return outcome


def _drive(connection: Connection, case: Case, out: Path) -> Outcome:
    """One case, with the stack set for it and put back afterwards. Raises CommandError."""
    stack = find_stack(connection)
    tuner = Tuner(connection, stack, lambda: False)
    reports = out / case.limit.replace(" ", "-")
    endpoint_url = connection.target.endpoint_url
    assert endpoint_url is not None
    load = ["run", *case.load, "--metrics-wait", METRICS_WAIT_S, "--endpoint-url", endpoint_url, "--out", str(reports)]
    sys.stderr.write(f"\n{case.limit}: {case.allowed}; {case.offered}\n$ loadgen {' '.join(load)}\n")
    tuner.apply(case.point)
    another = _second_consumer(connection, stack.stream) if case.is_read_by_another else contextlib.nullcontext()
    try:
        with another:
            status = subprocess.run([command("loadgen"), *load], check=False, stdout=sys.stderr).returncode
    finally:
        failed = tuner.restore()
    if failed:
        raise CommandError(f"not restored: {'; '.join(failed)}")
    return judge(case, _report(reports), status)


def _report(reports: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((reports / "report.json").read_text())
    except (OSError, ValueError):
        return None
    return found


@contextlib.contextmanager
def _second_consumer(connection: Connection, stream: str) -> Iterator[None]:
    """Reads all open shards from their newest record on, far more often than their quota of calls allows."""
    kinesis = connection.client("kinesis", attempts=1)
    enough = threading.Event()

    def read() -> None:
        shards = kinesis.list_shards(StreamName=stream)["Shards"]
        still_open = [
            shard["ShardId"] for shard in shards if "EndingSequenceNumber" not in shard["SequenceNumberRange"]
        ]
        iterators = {shard_id: _latest(kinesis, stream, shard_id) for shard_id in still_open}
        while not enough.wait(READ_EVERY_S):
            for shard_id, iterator in iterators.items():
                with contextlib.suppress(kinesis.exceptions.ProvisionedThroughputExceededException):
                    iterators[shard_id] = kinesis.get_records(ShardIterator=iterator)["NextShardIterator"]

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def _latest(kinesis: Any, stream: str, shard_id: str) -> str:
    answer = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard_id, ShardIteratorType="LATEST")
    found: str = answer["ShardIterator"]
    return found


if __name__ == "__main__":
    sys.exit(main())
