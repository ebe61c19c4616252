"""Events per second through the whole local pipeline on this machine: `make demo` with a higher rate, and its target.

Run: .venv/bin/python -m benchmarks.pipeline. Target: at least 2,000 events/s sustained with aggregation 100, counted
until everything is in the tables. It prints where the CPU time goes. The reference is the rate that was asked for.
"""

import json
import sys
from pathlib import Path

from loadgen import demo

RATE, DURATION_S, TARGET = 5000, 20, 2000
OUT = Path("benchmarks/out/pipeline")


def main() -> int:
    status = demo.main(["--rate", str(RATE), "--duration", str(DURATION_S), "--out", str(OUT)])
    numbers = json.loads((OUT / "report.json").read_text())["numbers"]
    sustained = numbers["processed_events_per_s"]
    ok = status == 0 and sustained >= TARGET
    verdict = f"target >= {TARGET:,} {'ok' if ok else 'MISSED'}"
    print(f"\noffered {RATE:,} events/s, processed {sustained:,.0f} events/s, {verdict}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
