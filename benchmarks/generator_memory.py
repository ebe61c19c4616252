"""Does the load generator's memory stay flat? Sends to a sink that only acknowledges, with the whole account.

Run: .venv/bin/python -m benchmarks.generator_memory [--rate 10000] [--duration 60]. Printed: the resident memory after ten
seconds, at the end, at most while the identities for the ledger are worked out then, and what that makes of ten minutes:
4 bytes per distinct event stay, 8 afterwards, everything else is bounded. Exits with 1 when ten minutes would need more
than 200 MB.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

from infra.ops.outputs import Target, connect
from loadgen.offer.events import EventOptions
from loadgen.outcome.ledger import Expectations
from loadgen.outcome.metrics import Metrics, Turn
from loadgen.run import late_after_us
from loadgen.sending.load import Sending
from loadgen.sending.sources import GeneratedSource
from processor.core.packing import PackingSettings
from processor.core.rule_api import RuleSettings
from tests.support.kinesis_sink import in_own_process

LIMIT_MB, LONG_S = 200, 600
FIRST_S = 10.0
RULES = RuleSettings(("bytes", "quantity"), 3600)


def resident_mb() -> float:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=10_000.0)
    parser.add_argument("--duration", type=float, default=60.0)
    options = parser.parse_args()
    packing = PackingSettings()
    metrics, expected = Metrics(late_after_us(packing)), Expectations(RULES.measures)
    source = GeneratedSource(EventOptions("memory", 1, 1.7e9), "constant", options.rate, options.duration, RULES)
    seen: dict[float, float] = {}

    def watch(now_s: float, _turn: Turn) -> None:
        if now_s >= FIRST_S and not seen:
            seen[now_s] = resident_mb()

    with in_own_process() as endpoint_url, tempfile.TemporaryDirectory() as folder:
        connection = connect(Target(endpoint_url, None, "null"))
        began_s, began_mb = time.monotonic(), resident_mb()
        sending = Sending(connection, "null", packing, metrics, expected, Path(folder) / "results.jsonl", 1)
        sending.run(source, watch)
        lasted_s = time.monotonic() - began_s
        last_mb = resident_mb()
    assert expected.identities == metrics.acknowledged
    ledger_mb = max(0.0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - last_mb)
    ((first_s, first_mb),) = seen.items()
    per_s = (last_mb - first_mb) / (lasted_s - first_s)
    long_mb = last_mb + per_s * max(0.0, LONG_S - lasted_s) + ledger_mb * max(1.0, LONG_S / lasted_s)
    print(
        f"{metrics.acknowledged:,} events at {metrics.acknowledged / lasted_s:,.0f} per second, {metrics.late:,} late"
    )
    print(
        f"resident: {began_mb:.0f} MB before, {first_mb:.0f} MB at {first_s:.0f} s, {last_mb:.0f} MB at "
        f"{lasted_s:.0f} s, {last_mb + ledger_mb:.0f} MB with the identities for the ledger"
    )
    print(f"{per_s * 1000:.0f} KB per second; after {LONG_S} s: {long_mb:.0f} MB (wanted: under {LIMIT_MB} MB)")
    return 0 if long_mb < LIMIT_MB else 1


if __name__ == "__main__":
    sys.exit(main())
