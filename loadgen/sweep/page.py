"""PURE: sweep.html out of sweep.json: one file that asks for nothing else, light and dark; the result comes first."""

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from loadgen.showing.page import settings as settings_of
from loadgen.showing.page import words
from loadgen.showing.style import STYLE
from loadgen.sweep.chart import STYLE as CHART_STYLE
from loadgen.sweep.chart import Curve, Place, per_lane, places_of, samples, throughput
from loadgen.sweep.curves import is_unsure, of_group, sentences
from loadgen.sweep.measured import per_second
from loadgen.sweep.quotas import NOT_REACHED

MORE_STYLE = """
.points td,.points th{padding:.3rem .5rem;vertical-align:top;text-align:right;font-variant-numeric:tabular-nums}
.points td.said,.points th.said{text-align:left;white-space:normal;min-width:17rem}
.points .dim{font-size:13px}.points td:first-child{overflow-wrap:normal}.legend{margin-bottom:.8rem}
@media(max-width:600px){.chart text{font-size:15px}}
@media print{.chart text{font-size:16px}.wide{overflow:visible}.points td,.points th{padding:.2rem .3rem}
.points td:not(.said){width:1%}.points .dim{font-size:11px}}
"""
SETTINGS = (
    ("shards", "shards"),
    ("parallelization_factor", "factor"),
    ("batch_size", "batch"),
    ("reserved_concurrency", "reserved"),
    ("aggregate", "aggregate"),
    ("function_latency_ms", "pause, ms"),
    ("table_write_units", "table units/s"),
)
NO_VALUE = {"reserved_concurrency": "none", "aggregate": "off", "table_write_units": "none"}


def page(sweep: Mapping[str, Any]) -> str:
    """The whole page. Everything from the document is escaped."""
    said = verdict(sweep)
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>{html.escape(said)}</title><style>{STYLE}{CHART_STYLE}{MORE_STYLE}</style>",
        _head(sweep, said),
        *(f"<p class=note>{html.escape(sentence)}.</p>" for sentence in explained(sweep)),
        *(_figures(sweep, group) for group in sweep["scaling"]),
        _points(sweep["points"]),
        _table("Configuration", sweep["configuration"]),
        _table("The stack as it was found" + (", and is again" if sweep["restored"] else ""), sweep["original"]),
    ]
    return "\n".join(part for part in parts if part) + "\n"


def figures(sweep: Mapping[str, Any]) -> dict[str, str]:
    """File name to SVG: two for each scaling curve with at least two points, as files of their own."""
    found = {}
    for number, group in enumerate(sweep["scaling"], 1):
        places, curve = _drawable(sweep, group)
        if len({place.concurrency for place in places}) > 1:
            found[f"scaling-{number}.svg"] = throughput(places, curve, alone=True) + "\n"
            found[f"scaling-{number}-per-lane.svg"] = per_lane(places, curve, alone=True) + "\n"
    return found


def verdict(sweep: Mapping[str, Any]) -> str:
    """The first thing to read."""
    points = sweep["points"]
    if not points:
        return f"No point was measured: {sweep['problem'] or 'the grid is empty'}."
    best = max(points, key=lambda one: one["sustained_events_per_s"])
    settings = best["point"]
    shards = settings["shards"]
    where = f"{shards} {'shards' if shards > 1 else 'shard'} x factor {settings['parallelization_factor']}"
    limits = Counter(one["limited_by"] for one in points)
    named = ", ".join(f"{name} ({count})" if len(limits) > 1 else name for name, count in limits.most_common())
    is_open = best["limited_by"] == NOT_REACHED or not best["is_closed"]
    partial = f" NOT complete: {sweep['problem'] or 'points are missing'}." if sweep["partial"] else ""
    return (
        f"{'At least' if is_open else 'At most'} {per_second(best['sustained_events_per_s'])} events/s are sustained"
        f"{_not_closed(best)}, with {where}; {len(points)} "
        f"{'points' if len(points) > 1 else 'point'}; limit: {named}.{partial}"
    )


def _not_closed(one: Mapping[str, Any]) -> str:
    """Between what was sustained and what was too much nothing is known."""
    if one["is_closed"]:
        return ""
    too_much = one["too_much_events_per_s"]
    return " (the search did not close" + (f": {per_second(too_much)} were too much)" if too_much else ")")


def explained(sweep: Mapping[str, Any]) -> list[str]:
    """What the curves say, how near the arithmetic is, and what is not settled."""
    said = [f"{one[:1].upper()}{one[1:]}".replace(" +- ", " ± ") for one in sentences(sweep["scaling"])]
    off = [one["difference_to_quota"] for one in sweep["points"] if one["difference_to_quota"] is not None]
    if off:
        said.append(
            f"Of {len(sweep['points'])} points {len(off)} have a limit with an arithmetic; they are {min(off):+.1%} to "
            f"{max(off):+.1%} off it"
        )
    still_open = [one for one in sweep["points"] if not one["is_closed"]]
    if still_open:
        said.append(
            f"{len(still_open)} of {len(sweep['points'])} searches did not close: the true rate of those points may "
            "lie outside of what is shown"
        )
    return said


def _head(sweep: Mapping[str, Any], said: str) -> str:
    started = f"{datetime.fromisoformat(sweep['started_at']):%Y-%m-%d %H:%M:%S} UTC"
    is_settled = all(one["is_closed"] for one in sweep["points"])
    kind = "bad" if not sweep["points"] or sweep["partial"] else "good" if is_settled else "late"
    return (
        f"<header class={kind}><h1>{html.escape(said)}</h1>"
        f"<p class=dim>{html.escape(started)}</p></header><pre>{words(sweep['command'])}</pre>"
    )


def _drawable(sweep: Mapping[str, Any], group: Mapping[str, Any]) -> tuple[list[Place], list[Curve]]:
    curve = [Curve(one["concurrency"], one["events_per_s"], one["low"], one["high"]) for one in group["curve"]]
    return places_of(of_group(sweep["points"], group["group"])), curve


def _figures(sweep: Mapping[str, Any], group: Mapping[str, Any]) -> str:
    places, curve = _drawable(sweep, group)
    if len({place.concurrency for place in places}) < 2:
        return ""
    what = "; ".join(f"{label}: {_setting(name, group['group'])}" for name, label in SETTINGS if name in group["group"])
    legend = "".join(
        f"<span><svg class=chart viewBox='0 0 24 8' aria-hidden=true>{drawing}</svg> {html.escape(said)}</span>"
        for drawing, said in samples(curve, places)
    )
    law = f"<h3>Terms of the scaling law</h3>{_law(group['law'])}" if group["law"] else ""
    return (
        f"<h2>How it scales ({html.escape(what)})</h2><figure class=legend><figcaption>{legend}</figcaption></figure>"
        f"<div class=pair><div><h3>Sustained events per second</h3><figure>{throughput(places, curve)}</figure></div>"
        f"<div><h3>The same, per lane</h3><figure>{per_lane(places, curve)}</figure></div></div>{law}"
    )


def _law(law: Mapping[str, Any]) -> str:
    def within(name: str, form: str) -> str:
        error, unsure = law[f"{name}_error"], " (not told from 0)" if is_unsure(law, name) else ""
        return f"{law[name]:{form}}" + (f" ± {error:{form}}{unsure}" if error is not None else "")

    rows = [
        ("events/s of one lane alone", within("rate_per_lane", ",.2f")),
        ("contention: share of the work that waits for something common", within("contention", ".5f")),
        ("coherency: price of every pair of lanes", within("coherency", ".7f")),
        ("unexplained: deviation of the points from the curve", f"{law['unexplained']:.1%}"),
    ]
    return _rows(rows)


def _setting(name: str, point: Mapping[str, Any]) -> str:
    value = point[name]
    return NO_VALUE.get(name, "-") if value is None else f"{value:,}"


def _settings(point: Mapping[str, Any], shown: Sequence[tuple[str, str]]) -> str:
    return "".join(f"<td>{_setting(name, point)}" for name, _ in shown)


def _points(points: Sequence[Mapping[str, Any]]) -> str:
    if not points:
        return ""
    changing = [(name, label) for name, label in SETTINGS if len({_setting(name, one["point"]) for one in points}) > 1]
    shown = changing or list(SETTINGS[:3])
    heads = "".join(f"<th>{html.escape(label)}" for _, label in shown)
    rows = "".join(f"<tr>{_settings(one['point'], shown)}{_found(one)}" for one in points)
    return (
        "<h2>Every point</h2><p class=dim>sustained: the highest rate whose backlog did not grow; too much: the lowest "
        "above it at which it did</p>"
        f"<div class=wide><table class=points><thead><tr>{heads}<th>sustained/s<th>too much/s<th>quota/s<th>off by"
        f"<th class=said>limited by, and what would come next<tbody>{rows}</table></div>"
    )


def _found(one: Mapping[str, Any]) -> str:
    quota, following, off = one["quota"], one["next_bottleneck"], one["difference_to_quota"]
    too_much = one["too_much_events_per_s"]
    still_open = "" if one["is_closed"] else " <span class=bad>open</span>"
    arithmetic = f" <span class=dim>{html.escape(quota['arithmetic'])}</span>" if quota else ""
    after = f"<br>next: {html.escape(following['name'])} at {following['events_per_s']:,.0f}/s" if following else ""
    why = one["reason"].removeprefix(f"{one['limited_by']}: ")
    allowed = per_second(quota["events_per_s"]) if quota else "-"
    return (
        f"<td>{per_second(one['sustained_events_per_s'])}{still_open}"
        f"<td>{'-' if too_much is None else per_second(too_much)}"
        f"<td>{allowed}<td>{'-' if off is None else f'{off:+.1%}'}"
        f"<td class=said><b>{html.escape(one['limited_by'])}</b>{arithmetic}"
        f"<br><span class=dim>{html.escape(why)}{after}</span>"
    )


def _table(title: str, values: Mapping[str, Any]) -> str:
    return f"<h2>{html.escape(title)}</h2>" + _rows(settings_of(values))


def _rows(rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><td>{html.escape(name)}<td>{html.escape(value)}" for name, value in rows)
    return f"<table class=words>{cells}</table>"
