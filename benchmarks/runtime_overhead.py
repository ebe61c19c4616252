"""What an invocation through the local Lambda runtime costs beyond the handler itself.

Run: .venv/bin/python benchmarks/runtime_overhead.py [--calls N]. Prints one line per payload size: the median and the
99th percentile of a warm invocation, the median of the same handler called in this process (with the JSON decoded and
encoded as the runtime does it), and the difference. Then the cold start and the resident memory of an idle environment.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

import simplejson  # type: ignore[import-untyped]  # awslambdaric depends on it; its stubs are not installed

from infra.blueprint import FunctionBlueprint
from infra.local.functions import FunctionService
from infra.local.staging import stage
from infra.model.function import Succeeded

SOURCE = "def handler(event, context):\n    return {'batchItemFailures': []}\n"


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def in_process_ms(payload: bytes, calls: int) -> float:
    scope: dict[str, object] = {}
    exec(SOURCE, scope)
    handler = scope["handler"]
    assert callable(handler)
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        simplejson.dumps(handler(simplejson.loads(payload), None))
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


async def measure(service: FunctionService, size: int, calls: int) -> None:
    payload = json.dumps({"data": "x" * (size - 12)}).encode()
    times = []
    for number in range(calls + 20):
        began = time.perf_counter()
        outcome = await service.invoke("noop", payload, request_id=f"request-{number}")
        times.append((time.perf_counter() - began) * 1e3)
        assert isinstance(outcome, Succeeded), outcome
    warm = times[20:]
    inside = in_process_ms(payload, calls)
    median = statistics.median(warm)
    print(
        f"{size:>9,} bytes: median {median:.3f} ms, p99 {percentile(warm, 0.99):.3f} ms; in process {inside:.3f} ms; "
        f"overhead {median - inside:.3f} ms, ratio {median / inside:.1f}"
    )


def resident(pid: int) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return ", ".join(" ".join(line.split()) for line in lines if line[:5] in ("VmRSS", "VmHWM"))


async def main(calls: int, folder: Path) -> None:
    code = folder / "code" / "noop"
    code.mkdir(parents=True)
    (code / "app.py").write_text(SOURCE)
    arn = "arn:aws:lambda:us-east-1:000000000000:function:noop"
    blueprint = FunctionBlueprint(
        "Noop",
        "noop",
        arn,
        "noop.app.handler",
        "python3.13",
        "x86_64",
        "noop",
        512,
        60,
        None,
        {},
        "",
        "/aws/lambda/noop",
    )
    service = FunctionService("000000000000", "us-east-1", folder / "data")
    service.add(blueprint, task_root=stage(code, folder / "task-root"), environment={})
    try:
        began = time.perf_counter()
        await service.invoke("noop", b"{}", request_id="first")
        print(f"cold start: {(time.perf_counter() - began) * 1e3:.0f} ms")
        print(f"resident memory of the idle environment: {resident(service.pids('noop')[0])}")
        for size in (1_024, 1_048_576):
            await measure(service, size, calls if size < 100_000 else calls // 10)
        print(f"resident memory after that: {resident(service.pids('noop')[0])}")
        print("last line of the log:", service.log_lines("noop")[-1])
    finally:
        await service.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2_000, help="warm invocations with 1 KB; a tenth of it with 1 MB")
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(main(parser.parse_args().calls, Path(name)))
