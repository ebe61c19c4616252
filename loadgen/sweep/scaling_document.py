"""PURE: the parts of the scaling study, and what it found as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from loadgen.sweep.curves import sentences
from loadgen.sweep.measured import per_second

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
# A function that sleeps makes its lanes the limit, far below what two cores can do: a lane takes 5 events per second.
LANES = (
    "--shards 1,2,4,8 --parallelization-factor 1,2,5,10 --batch-size 5 --function-latency-ms 1000 --aggregate off "
    "--keys 300000 --point-duration 14 --warm-up 4 --overdrive 2 --tolerance 0.07 --start 1.015 --probes 6"
)
RECORDS = "--shards 1 --parallelization-factor 1 --aggregate off --keys 16 --point-duration 20 --start 1.02 --probes 8"
BYTES = (
    "--shards 1 --parallelization-factor 4 --batch-size 20 --aggregate off --keys 40 --event-bytes 20000 "
    "--point-duration 20 --start 1.02 --probes 8"
)
RESERVED = (
    "--shards 1 --parallelization-factor 4 --reserved-concurrency 2 --batch-size 20 --function-latency-ms 1000 "
    "--aggregate off --keys 300000 --point-duration 20 --overdrive 1.8 --start 1.03 --probes 8"
)
TABLE = (
    "--shards 1 --parallelization-factor 4 --table-write-units 100 --batch-size 20 --aggregate off --keys 300000 "
    "--point-duration 24 --overdrive 1.5 --start 1.03 --probes 8"
)


class Part(NamedTuple):
    """One `loadgen sweep`."""

    name: str
    question: str
    options: str


PARTS: Sequence[Part] = (
    Part("lanes", "1 to 8 shards, factor 1 to 10, before a function that sleeps: how do lanes scale?", LANES),
    Part("records", "one shard's 1,000 records/s", RECORDS),
    Part("bytes", "one shard's 1 MiB/s, with events of 20 kB", BYTES),
    Part("reserved", "2 reserved executions for 4 lanes, before a function that sleeps", RESERVED),
    Part("table", "a table of 100 write units/s", TABLE),
)
COLUMNS = (
    "part", "shards", "factor", "reserved", "sustained to too much, events/s", "arithmetic, events/s", "off by",
    "named limit", "next",
)  # fmt: skip


def markdown(found: Mapping[str, Mapping[str, Any]], pictures: str) -> str:
    """Commands, curves and a table of every point. `found`: part to its sweep.json; `pictures`: their folder."""
    lines: list[str] = []
    for part in PARTS:
        if part.name not in found:
            continue
        sweep = found[part.name]
        incomplete = f" Not complete: {sweep['problem'] or 'points are missing'}." if sweep["partial"] else ""
        lines += [f"### {part.name}: {part.question}", ""]
        lines += [f"{sweep['started_at'][:19].replace('T', ' ')} UTC.{incomplete}", ""]
        lines += ["```", f"loadgen sweep {part.options}", "```", ""]
        for number, group in enumerate(sweep["scaling"], 1):
            if group["curve"]:
                (sentence,) = sentences([group])
                lines += [f"{sentence[0].upper()}{sentence[1:]}.", ""]
                for name in (f"scaling-{number}", f"scaling-{number}-per-lane"):
                    lines += [f"![{part.question}]({pictures}/{part.name}-{name}.svg)", ""]
        lines += [f"| {' | '.join(cells)} |" for cells in (COLUMNS, ["---"] * len(COLUMNS))]
        lines += [f"| {' | '.join(row(part.name, one))} |" for one in sweep["points"]]
        lines.append("")
    return "\n".join(lines)


def row(part: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    """One point of sweep.json."""
    point, quota, following = one["point"], one["quota"], one["next_bottleneck"]
    too_much, off, reserved = one["too_much_events_per_s"], one["difference_to_quota"], point["reserved_concurrency"]
    still_open = "" if one["is_closed"] else ", not closed"
    upper = "-" if too_much is None else per_second(too_much)
    return (
        part,
        str(point["shards"]),
        str(point["parallelization_factor"]),
        "-" if reserved is None else str(reserved),
        f"{per_second(one['sustained_events_per_s'])} to {upper}{still_open}",
        "-" if quota is None else f"{per_second(quota['events_per_s'])} = {quota['arithmetic']}",
        "-" if off is None else f"{off:+.1%}",
        one["limited_by"],
        "-" if following is None else f"{following['name']} at {per_second(following['events_per_s'])}",
    )


def insert(document: str, text: str) -> str:
    """The document with `text` between its two marks. Raises ValueError when it does not have both."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no {BEGIN} followed by {END}")
    return f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}"
