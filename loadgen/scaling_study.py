"""SHELL: `python -m loadgen.scaling_study`: every sweep of docs/scaling-study.md, one after the other, locally.

Each part is a `loadgen sweep` as a user types it, against a stack that is started and stopped for it. With `--into` the
table and the curves go into the document. Exit status: 0 when everything was measured, otherwise that of the part that
failed (the parts before it are there), 130 interrupted.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from loadgen.arguments import folder
from loadgen.demo import command, local_stack
from loadgen.sweep.scaling_document import PARTS, Part, insert, markdown

OK, FAILED, INTERRUPTED = 0, 1, 130
TABLE = "study.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m loadgen.scaling_study", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = [part.name for part in PARTS]
    parser.add_argument("--out", type=folder, default=Path("out/scaling-study"), help="default out/scaling-study")
    parser.add_argument("--only", action="append", choices=names, help="a part of the study; repeatable (default all)")
    parser.add_argument("--into", type=Path, metavar="FILE", help="also write the results into this Markdown document")
    options = parser.parse_args(argv)
    wanted = [part for part in PARTS if not options.only or part.name in options.only]
    status = OK
    try:
        for part in wanted:
            # Each on a stack of its own: a stream's shards may be changed ten times in 24 hours.
            with local_stack(["--port", "0"]) as ready:
                status = _measure(part, str(ready["endpoint_url"]), options.out) or status
            if status > FAILED:
                break
    except KeyboardInterrupt:
        return INTERRUPTED
    publish(options.out, options.into)
    return status


def _measure(part: Part, endpoint_url: str, out: Path) -> int:
    words = ["sweep", *part.options.split(), "--endpoint-url", endpoint_url, "--out", str(out / part.name)]
    sys.stderr.write(f"\n{part.name}: {part.question}\n$ loadgen {' '.join(words)}\n")
    began_s = time.monotonic()
    status = subprocess.run([command("loadgen"), *words], check=False).returncode
    sys.stderr.write(f"{part.name}: {time.monotonic() - began_s:,.0f} s, exit status {status}\n")
    return status


def publish(out: Path, into: Path | None) -> None:
    """study.md from all parts that lie in `out`, of this run or an earlier one; with `into`, the document as well."""
    found = {}
    for part in PARTS:
        path = out / part.name / "sweep.json"
        if path.exists():
            found[part.name] = json.loads(path.read_text())
    pictures = into.with_suffix("") if into is not None else out / "pictures"
    text = markdown(found, pictures.name)
    out.mkdir(parents=True, exist_ok=True)
    (out / TABLE).write_text(text, encoding="utf-8")
    for name in found:
        for drawing in sorted((out / name).glob("*.svg")):
            pictures.mkdir(parents=True, exist_ok=True)
            (pictures / f"{name}-{drawing.name}").write_bytes(drawing.read_bytes())
    if into is not None:
        into.write_text(insert(into.read_text(encoding="utf-8"), text), encoding="utf-8")
    sys.stdout.write(f"\n{text}\nResults: {out}/{TABLE}, a sweep.html per part\n")


if __name__ == "__main__":
    sys.exit(main())
