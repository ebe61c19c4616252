"""The handler's init against a handler that only imports boto3 and creates one DynamoDB client.

Run: .venv/bin/python -m benchmarks.init. Fresh processes, the two in turn, medians. Target: at most 1.5 times.
"""

import os
import statistics
import subprocess
import sys

ROUNDS = 11
RATIO_MAX = 1.5
SETTINGS = {
    "RESULTS_TABLE": "results", "QUARANTINE_TABLE": "quarantine", "FAILURE_BUCKET": "failures",
    "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test", "POWERTOOLS_SERVICE_NAME": "benchmark",
}  # fmt: skip
REFERENCE = "import boto3\nboto3.client('dynamodb')\n"
OURS = "import processor.stream\n"
TIMED = "import time\nbegan = time.perf_counter()\n{}print((time.perf_counter() - began) * 1e3)\n"


def init_ms(code: str) -> float:
    """Milliseconds of one fresh process's init."""
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(code)],
        env={**os.environ, **SETTINGS},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def breakdown(code: str, most: int = 14) -> list[str]:
    """The slowest imports by their own and all time, from -X importtime."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        env={**os.environ, **SETTINGS}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = []
    for line in done.stderr.splitlines():
        own, _, rest = line.removeprefix("import time:").partition("|")
        cumulative, _, name = rest.partition("|")
        if own.strip().isdecimal() and len(name) - len(name.lstrip()) <= 5:
            rows.append((int(cumulative), int(own), name.strip()))
    return [f"  {name:<50}{total / 1e3:>8.1f} ms" for total, _, name in sorted(rows, reverse=True)[:most]]


def main() -> int:
    for code in (REFERENCE, OURS):
        init_ms(code)  # bytecode and disk cache
    pairs = [(init_ms(OURS), init_ms(REFERENCE)) for _ in range(ROUNDS)]
    ours, reference = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(our / their for our, their in pairs)
    print(f"init of processor.stream        {ours:8.1f} ms")
    print(f"boto3 and one DynamoDB client   {reference:8.1f} ms")
    verdict = "ok" if ratio <= RATIO_MAX else "MISSED"
    print(f"ratio                           {ratio:8.2f}    target <= {RATIO_MAX} {verdict}")
    print("\nwhere it goes (outer imports, each with what it imports):")
    print("\n".join(breakdown(OURS)))
    return 0 if ratio <= RATIO_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
