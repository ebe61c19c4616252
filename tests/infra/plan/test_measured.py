"""Reports of load runs: what is read from them, and how predictions are held against them."""

import re
from typing import Any

import pytest

from infra.plan import check
from infra.plan.command import calibrated
from infra.plan.doubts import BEHIND, THROTTLED, WRITES
from infra.plan.measured import MeasuredError, Run, Unusable, each, runs
from infra.plan.service import from_plain, to_plain
from infra.plan.show import compared_lines, error_of
from tests.infra.plan.support import ROOT, TIMES, report


def test_a_report_gives_load_configuration_and_samples_without_cold_seconds() -> None:
    (run,) = runs(report(), "one")
    assert (run.wish.rate, run.wish.keys, run.wish.aggregate, run.wish.skew) == (100.0, 100, 1, 0.0)
    assert (run.setup.shards, run.setup.factor, run.setup.batch_size, run.setup.window_s) == (1, 2, 100, 1)
    assert run.is_local
    assert run.setup.read_on_put
    assert run.p50_s == pytest.approx(0.9)
    assert len(run.samples) == 3
    assert run.samples[0].seconds == pytest.approx(2 * 0.01 + 100 * 0.0001 + 80 * 0.001)
    assert run.outside_s == pytest.approx(0.004)


def test_a_backlog_gives_how_fast_it_was_worked_off() -> None:
    (run,) = runs(report(profile="backlog"), "one")
    assert run.is_backlog
    assert run.p50_s is None
    assert run.drained == 100.0
    (compared,) = check.compare(run, TIMES)
    assert compared.what == "backlog drained"
    assert compared.measured == pytest.approx(100.0)
    assert compared.predicted > 100.0


def test_a_steady_run_is_predicted_from_its_configuration() -> None:
    (run,) = runs(report(), "one")
    (compared,) = check.compare(run, TIMES)
    assert compared.what == "p50 latency"
    assert 300 < compared.predicted < 1500
    assert compared.off == pytest.approx(compared.predicted / 900 - 1)
    paused = check.compare(run.with_pause(0.5), TIMES)[0]
    assert paused.predicted > compared.predicted + 400


def test_a_function_that_paused_and_the_machines_cores_are_in_the_report() -> None:
    (plain,) = runs(report(), "one")
    assert (plain.wish.pause_s, plain.machine_cores) == (0.0, None)
    told = report()
    told["configuration"] |= {"function_pause_ms": 250, "function_handler": "processor.paused.handler"}
    told["configuration"]["machine_cores"] = 4
    (run,) = runs(told, "one")
    assert (run.wish.pause_s, run.machine_cores) == (0.25, 4)
    assert run.outside_s == 0.0  # the pause is no time of Lambda's own


@pytest.mark.parametrize(("name", "wrong"), [("function_pause_ms", "x"), ("machine_cores", "x"), ("machine_cores", 0)])
def test_a_pause_or_cores_that_are_no_number_are_a_sentence(name: str, wrong: object) -> None:
    told = report()
    told["configuration"][name] = wrong
    with pytest.raises(MeasuredError, match="not a usable report"):
        runs(told, "one")


def test_service_times_fitted_to_a_report_predict_its_batches() -> None:
    (run,) = runs(report(), "one")
    times = calibrated([run], TIMES)
    assert times.inside_s(50, 40, 1769) == pytest.approx(0.01 + 0.005 + 0.04, rel=0.02)
    assert times.outside_s == pytest.approx(0.004)
    assert times.memory_mb == 1769
    assert "one" in times.source
    assert from_plain(to_plain(times)).source == times.source


def test_late_senders_and_other_profiles_make_a_figure_doubtful() -> None:
    plain = report(profile="ramp")
    plain["numbers"]["late_share"] = 0.5
    (run,) = runs(plain, "one")
    assert len(run.doubts) == 2
    assert check.compare(run, TIMES)[0].as_json()["doubts"] == list(run.doubts)


def sweep(**changed: Any) -> dict[str, Any]:
    point = {
        "shards": 1, "parallelization_factor": 2, "batch_size": 50, "reserved_concurrency": None, "aggregate": None,
        "function_latency_ms": 500, "table_write_units": None,
    }  # fmt: skip
    return {
        "schema": "loadgen-sweep/1",
        "configuration": {
            "event_bytes": "256",
            "keys": "2000",
            "skew": "0",
            "endpoint_url": "x",
            "point_duration": "20",
        },
        "original": {"timeout_s": 60, "shards": 2},
        "points": [
            {
                "point": point,
                "sustained_events_per_s": 180.0,
                "too_much_events_per_s": 200.0,
                "is_closed": True,
                "limited_by": "function time",
                **changed,
            }
        ],
    }


def test_a_sweep_gives_the_sustained_rate_of_every_point() -> None:
    (run,) = runs(sweep(), "sweep")
    assert run.sustained == (180.0, 200.0)
    assert run.wish.pause_s == 0.5
    (compared,) = check.compare(run, TIMES)
    assert (compared.measured, compared.too_much) == (180.0, 200.0)
    assert compared.predicted == pytest.approx(2 * 50 / 0.53, rel=0.15)
    assert compared.off == 0.0
    (open_ended,) = runs(sweep(too_much_events_per_s=None, is_closed=False), "sweep")
    assert open_ended.doubts
    assert check.compare(open_ended, TIMES)[0].measured == 180.0


@pytest.mark.parametrize(
    ("predicted", "held", "too_much", "off"),
    [(150, 180, 200, -1 / 6), (180, 180, 200, 0), (200, 180, 200, 0), (220, 180, 200, 0.1), (500, 180, None, 0),
     (90, 180, None, -0.5), (3, 0, 4, 0), (6, 0, 4, 0.5)],
)  # fmt: skip
def test_inside_its_bracket_a_rate_is_right_and_outside_the_nearer_end_counts(
    predicted: float, held: float, too_much: float | None, off: float
) -> None:
    one = check.Compared("a", "sustained rate", "events/s", predicted, held, (), True, too_much)
    assert one.off == pytest.approx(off)
    (line,) = [line for line in compared_lines([one.as_json()]) if "sustained rate" in line]
    assert f"{held:,} .. {too_much if too_much else '?'} events/s" in line


def test_a_point_whose_lowest_rate_was_too_much_is_below_it_and_one_without_a_rate_leaves_the_others() -> None:
    plain = sweep(sustained_events_per_s=0)
    (run,) = runs(plain, "sweep")
    assert run.sustained == (0.0, 200.0)
    assert run.wish.rate == 200.0
    plain["points"] += [{**sweep()["points"][0], "sustained_events_per_s": None, "too_much_events_per_s": None}, "x"]
    usable, without, damaged = each(plain, "sweep")
    assert isinstance(usable, Run)
    assert without == Unusable("sweep, point 2", "no rate was sustained, and none was too much")
    assert isinstance(damaged, Unusable)


def limited(name: str, share: float | None = None, *, profile: str = "constant") -> Run:
    """A run that met a limit: the first one, or with a share beside it."""
    plain = report(profile=profile)
    found = {"limit": name, "reason": f"{name}: so it was", "share": share}
    plain["limits"] |= {"limited_by": "nothing", "reason": "", "also": [found]}
    if share is None:
        plain["limits"] |= {"limited_by": name, "reason": found["reason"], "also": []}
    (run,) = runs(plain, "one")
    return run


@pytest.mark.parametrize(
    "name",
    ["shard write quota", "the stream's endpoint", "sender: late", "table write capacity", "quarantine write capacity",
     "reserved concurrency", "account concurrency", "shard read quota", "failing batches", "processing: behind"],
)  # fmt: skip
def test_a_run_that_met_a_limit_is_doubtful_and_one_that_touched_it_is_not(name: str) -> None:
    assert limited(name).doubts == (f"it met a limit: {name}: so it was",)
    assert limited(name, 0.3).doubts == (f"it met a limit, with 30% of the load: {name}: so it was",)
    assert limited(name, 0.01).doubts == ()


def test_a_busy_function_is_predicted_and_a_backlog_is_behind_on_purpose() -> None:
    assert limited("function time").doubts == ()
    for name in ("processing: behind", "shard write quota", "sender: late"):
        assert limited(name, profile="backlog").doubts == ()
    assert limited("reserved concurrency", profile="backlog").doubts


def test_every_limit_that_a_load_can_run_into_is_either_doubted_or_predicted() -> None:
    """By the table of docs/loadgen-report.md."""
    page = (ROOT / "docs" / "loadgen-report.md").read_text().partition("| limit | seen in |")[2].partition("\n\n")[0]
    named = (
        {name for line in page.splitlines() for name in re.findall(r"`([^`]+)`", line.split("|")[1])} if page else set()
    )
    assert named == THROTTLED | WRITES | BEHIND | {"function time", "partition keys"}


def test_what_was_not_observed_or_too_short_is_doubtful() -> None:
    plain = report(rate=2)
    plain["limits"]["missing"] = ["CloudWatch covers only 40 % of this load"]
    plain["limits"]["capacity"]["batching_window_s"] = 3
    plain["limits"]["series"][0]["points"] = [[1, 2.0], [2, 2.0]]
    plain["partial"] = True
    assert runs(plain, "one")[0].doubts == (
        "it was ended before its time",
        "not observed: CloudWatch covers only 40 % of this load",
        "it sent for 4 s, which is less than 4 batching windows of 3 s",
        "8 events are too few for a median",
        "4 batches are too few for a median",
    )
    with pytest.raises(MeasuredError, match="less than one event"):
        runs(report(rate=0.2), "one")


def test_the_write_quota_limits_what_is_sustainable() -> None:
    plain = sweep()
    plain["points"][0]["point"].update(function_latency_ms=0, batch_size=1000)
    (run,) = runs(plain, "sweep")
    assert check.sustainable(run, TIMES) == pytest.approx(1000.0, rel=0.01)


@pytest.mark.parametrize(
    ("plain", "named"),
    [
        ([], "its schema is None"),
        ({"schema": "loadgen-report/1"}, "its schema is 'loadgen-report/1'"),
        ({"schema": "loadgen-report/2"}, "field 'configuration' is missing"),
        ({**report(), "configuration": {"format": "clf"}}, "a replay has no rate"),
        (report(shards=None), "the stack's shards could not be asked"),
        ({**report(), "configuration": {**report()["configuration"], "keys": "0"}}, "--keys is 0"),
        (sweep(sustained_events_per_s=0, too_much_events_per_s=None), "no rate was sustained"),
        ({**sweep(), "points": []}, "no point of the sweep was measured"),
        (report(batch_size=20_000), "batchSize"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(plain: Any, named: str) -> None:
    with pytest.raises(MeasuredError, match=named):
        runs(plain, "one")


def test_the_summary_counts_what_is_within_a_fifth_and_leaves_out_what_is_in_doubt() -> None:
    made = [check.Compared("a", "p50", "ms", predicted, 100.0) for predicted in (81.0, 100.0, 130.0)]
    counted = {"runs": 3, "median_off": 0.19, "max_off": 0.3, "within_tolerance": 2}
    assert check.summary(made) == {"p50": {**counted, "in_doubt": 0}}
    doubtful = check.Compared("b", "p50", "ms", 9_000.0, 100.0, ("it met a limit",))
    assert check.summary([*made, doubtful]) == {"p50": {**counted, "in_doubt": 1}}
    none = {"runs": 0, "median_off": None, "max_off": None, "within_tolerance": 0, "in_doubt": 1}
    assert check.summary([doubtful]) == {"p50": none}
    assert error_of(none) == "not known: 1 in doubt is not counted"
