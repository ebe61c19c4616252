"""PURE: a plan, and predictions beside measurements, as lines of text."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

WIDE = 118
LABEL = 34


def plan_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    """The whole plan, for a terminal."""
    wish, expected = plan["wish"], plan["expected"]
    yield (
        f"Plan for {_number(wish['events_per_s'])} events/s of {wish['event_bytes']:,} bytes on {wish['keys']:,} keys "
        f"(Zipf {wish['skew']:g}), p99 within {wish['latency_p99_ms'] / 1000:g} s, "
        f"quotas used up to {wish['utilisation']:.0%}"
    )
    yield ""
    yield "Template parameters"
    for name, value in plan["parameters"].items():
        yield _row(name, str(value))
    yield from _wrapped(f"sam deploy --parameter-overrides {overrides(plan)}", "  ")
    yield ""
    yield from _producers(plan["producers"])
    yield ""
    yield "Expected"
    yield from _expected(expected, plan["first_fixed_limit"]["name"])
    if not plan["meets_latency"]:
        yield from _wrapped(
            "NOT MET: neither the fewest shards that take this load nor up to three times as many meet the wished p99 "
            "and leave the room that --utilisation asks for; of the quickest that were run the cheapest is shown. "
            f"What helps: {'; '.join(plan['levers'])}.",
            "  ",
        )
    yield ""
    yield "Why these"
    for sentence in plan["reasons"]:
        yield from _wrapped(sentence, "  - ", "    ")
    if plan["tried"]:
        yield "  Run beside it in virtual time (shards x factor):"
    for sentence in plan["tried"]:
        yield from _wrapped(sentence, "    ")
    yield ""
    yield from _quotas(plan)
    yield ""
    yield from _dollars(plan["dollars"])
    yield ""
    yield from _error(plan["error"])
    yield ""
    yield "Assumptions"
    for sentence in plan["assumptions"]:
        yield from _wrapped(sentence, "  - ", "    ")


def overrides(plan: Mapping[str, Any]) -> str:
    """For `sam deploy --parameter-overrides`."""
    return " ".join(f"{name}={value}" for name, value in plan["parameters"].items())


def _producers(producers: Mapping[str, Any]) -> Iterator[str]:
    packed = (
        f"up to {producers['aggregate']:,} events a record, {producers['linger_ms']:g} ms at most, "
        f"{producers['lanes']:,} lanes: {producers['events_per_record']:,g} events a record"
        if producers["lanes"]
        else "not aggregated"
    )
    yield f"Producers: {producers['processes']:,} process{'es' if producers['processes'] > 1 else ''}, {packed}"


def _expected(expected: Mapping[str, Any], limited_by: str) -> Iterator[str]:
    yield _row(
        "latency p50 / p90 / p99",
        " / ".join(f"{expected[f'latency_{which}_ms']:,.0f}" for which in ("p50", "p90", "p99")) + " ms",
    )
    sustained = f"{expected['sustained_events_per_s']:,.0f} events/s"
    yield _row("sustained at most", f"{sustained} ({limited_by}); what can be raised does not count")
    drain_s = expected["drain_of_one_hour_s"]
    how = f"at {expected['drain_events_per_s']:,.0f} events/s ({expected['drain_limited_by']}) while the load goes on"
    yield _row(
        "one hour's backlog drains in",
        "never: the load is all it can do" if drain_s is None else f"{_time(drain_s)}, {how}",
    )
    yield _row(
        "batches",
        f"{expected['invocations_per_s']:,.2f}/s of {expected['events_per_batch']:,.0f} events, "
        f"{expected['batch_ms']:,.0f} ms each; {expected['executions_busy']:,.2f} executions busy",
    )
    yield _row(
        "the hottest shard's batches",
        f"{expected['hottest_shard_events_per_batch']:,.0f} events, {expected['hottest_shard_batch_ms']:,.0f} ms each",
    )
    yield _row("write units", f"{expected['write_units_per_event']:g} per event")


def _time(seconds: float) -> str:
    return (
        f"{seconds:,.0f} s"
        if seconds < 600
        else f"{seconds / 60:,.0f} min"
        if seconds < 36_000
        else f"{seconds / 3600:,.1f} h"
    )


def _quotas(plan: Mapping[str, Any]) -> Iterator[str]:
    yield f"{'Quotas':<{LABEL}}{'used':>14}{'allowed':>14}{'':>8}  used up at"
    for quota in plan["quotas"]:
        at = quota["used_up_at_events_per_s"]
        reached = f"{at:,.0f} events/s" if at is not None else ""
        yield (
            f"  {quota['name']:<{LABEL - 2}}{_number(quota['used']):>14}{_number(quota['allowed']):>14}"
            f"{quota['utilisation']:>8.0%}  {reached or quota['unit']}"
        ).rstrip()
        yield from _wrapped(quota["rests_on"], "      ")
    yield from _wrapped(_first(plan), "  ")
    for more in plan["to_be_raised"]:
        yield from _wrapped(
            f"To be raised before: {more['name']}, {more['needed']:,} {more['unit']} are needed and "
            f"{more['default']:,} are there.",
            "  ",
        )


def _first(plan: Mapping[str, Any]) -> str:
    first, fixed = plan["first_limit"], plan["first_fixed_limit"]
    below = first["events_per_s"] < plan["wish"]["events_per_s"]
    grows = "Below this load already" if below else "If the load grows"
    said = f"{grows}, {first['name']} is used up first, at {first['events_per_s']:,.0f} events/s."
    if fixed["name"] == first["name"]:
        return said
    then = f"{fixed['name']} is the first, at {fixed['events_per_s']:,.0f} events/s."
    return f"{said} It can be raised; of what cannot, {then}"


def _dollars(dollars: Mapping[str, Any]) -> Iterator[str]:
    title = f"Dollars ({dollars['region']}, prices of {dollars['prices_of']})"
    yield f"{title:<{LABEL + 10}}{'a month':>16}{'a million events':>20}"
    for part in dollars["parts"]:
        yield f"  {part['part']:<{LABEL + 8}}{part['per_month']:>16,.2f}{part['per_million_events']:>20,.6f}"
        price = f"${part['price']:g} per {part['price_per']}"
        yield from _wrapped(f"{_number(part['amount'])} {part['unit']} at {price}: {part['rests_on']}", "      ")
    yield f"  {'all':<{LABEL + 8}}{dollars['per_month']:>16,.2f}{dollars['per_million_events']:>20,.6f}"
    instead = dollars["instead"]
    yield from _wrapped(
        f"Instead: an on-demand stream costs {instead['stream_on_demand']:,.2f} a month (provisioned: "
        f"{instead['stream_provisioned']:,.2f}), provisioned table writes {instead['table_provisioned']:,.2f} "
        f"(on demand: {instead['table_on_demand']:,.2f}).",
        "  ",
    )


def _error(error: Mapping[str, Any]) -> Iterator[str]:
    yield "Error against measured runs"
    told = False
    for which, found in (("held out", error["held_out"]), ("calibrated with", error["calibration_runs"])):
        for what, numbers in found.items():
            told = True
            yield _row(f"{what}, {which}", error_of(numbers))
    if not told:
        yield "  not known: nothing was measured that could be predicted"


def error_of(numbers: Mapping[str, Any]) -> str:
    """One kind of figure of a summary, in words."""
    doubtful = numbers.get("in_doubt", 0)
    left_out = f"{doubtful:,} in doubt {'is' if doubtful == 1 else 'are'} not counted" if doubtful else ""
    if not numbers["runs"]:
        return f"not known: {left_out or 'none was measured'}"
    said = (
        f"median {numbers['median_off']:.0%}, at most {numbers['max_off']:.0%}, "
        f"{numbers['within_tolerance']} of {numbers['runs']} runs within 20 %"
    )
    return f"{said}; {left_out}" if left_out else said


def compared_lines(compared: Sequence[Mapping[str, Any]], unusable: Sequence[Mapping[str, str]] = ()) -> Iterator[str]:
    """Predictions beside measurements, one line each, with what speaks against them below; then what was left out."""
    rows = [["run", "what", "predicted", "measured", "off"]]
    for one in compared:
        mark = "" if one["counts"] else " (?)"
        rows.append(
            [
                one["run"],
                one["what"],
                f"{one['predicted']:,.0f} {one['unit']}",
                _measured(one),
                f"{one['off']:+.0%}{mark}",
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for number, row in enumerate(rows if compared else []):
        cells = [
            cell.ljust(width) if n in (0, 1, 4) else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
        for doubt in compared[number - 1]["doubts"] if number else ():
            yield from _wrapped(f"does not count: {doubt}", "    ", "      ")
    for each in unusable:
        yield from _wrapped(f"{each['run']}  not compared: {each['why']}", "", "    ")


def summary_lines(summary: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """One line for each kind of figure."""
    for what, numbers in summary.items():
        yield f"{what}: {error_of(numbers)}"


def _measured(one: Mapping[str, Any]) -> str:
    """A figure, or the bracket that a search ended with."""
    if not one["is_bracket"]:
        return f"{one['measured']:,.0f} {one['unit']}"
    top = f"{one['too_much']:,.0f}" if one["too_much"] is not None else "?"
    return f"{one['measured']:,.0f} .. {top} {one['unit']}"


def _row(label: str, value: str) -> str:
    return f"  {label:<{LABEL - 2}}{value}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:,.3g}"


def _wrapped(text: str, first: str, then: str | None = None) -> Iterator[str]:
    yield from wrap(text, WIDE, initial_indent=first, subsequent_indent=first if then is None else then)
