"""`infra plan`: the plan on the terminal and as JSON, exit statuses, one sentence for a mistake."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra import blueprint
from infra.cli import main
from infra.model.stream_account import SHARDS_MAX
from infra.plan import candidates, extent, quotas
from tests.infra.plan.support import PRICES_PLAIN, ROOT, report

TEMPLATE = (ROOT / "infra" / "template.yaml").read_text()


@pytest.fixture(autouse=True, scope="module")
def short_runs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extent, "EVENTS_MAX", 2_000)
        patch.setattr(extent, "RECORDS_MAX", 800)
        patch.setattr(candidates, "BATCH_SIZES", (500, 100, 20, 5, 1))
        yield


PLANNED: dict[tuple[str, ...], dict[str, Any]] = {}  # by their words: the same one is planned once


def plan(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    if words not in PLANNED:
        PLANNED[words] = planned_now(capsys, *words)
    return PLANNED[words]


def planned_now(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["plan", "--rate", "800", "--keys", "500", "--skew", "0.5", *words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


def test_the_plans_fields_are_those_of_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    """A field that goes or changes its meaning makes it infra-plan/2."""
    found = plan(capsys)
    assert found["schema"] == "infra-plan/1"
    page = (ROOT / "docs" / "planning.md").read_text()
    for name in found:
        assert f"| `{name}` |" in page, name
    for part in ("wish", "parameters", "producers", "table", "expected", "first_limit", "service_times", "error"):
        line = next(line for line in page.splitlines() if line.startswith(f"| `{part}` |"))
        assert [name for name in found[part] if f"`{name}`" not in line] == [], part
    line = next(line for line in page.splitlines() if line.startswith("| `dollars` |"))
    dollars = [*found["dollars"], *found["dollars"]["parts"][0], *found["dollars"]["instead"]]
    assert [name for name in dollars if f"`{name}`" not in line] == []
    assert set(shape(found["quotas"])[0]) == {
        "name", "used", "allowed", "unit", "utilisation", "used_up_at_events_per_s", "can_be_raised", "rests_on",
    }  # fmt: skip
    assert set(found["dollars"]["parts"][0]) == {
        "part", "per_month", "per_million_events", "amount", "unit", "price", "price_per", "rests_on",
    }  # fmt: skip


@pytest.mark.parametrize("words", [(), ("--local",)])
def test_what_is_sustained_is_what_the_first_quota_allows(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    found = plan(capsys, *words)
    rates = {each["name"]: each["used_up_at_events_per_s"] for each in found["quotas"]}
    fixed = [
        each["used_up_at_events_per_s"]
        for each in found["quotas"]
        if not each["can_be_raised"] and each["used_up_at_events_per_s"] is not None
    ]
    assert found["first_limit"]["events_per_s"] == min(at for at in rates.values() if at is not None)
    assert found["expected"]["sustained_events_per_s"] == found["first_fixed_limit"]["events_per_s"] == min(fixed)
    assert all(rates[each["name"]] is not None for each in found["quotas"] if each["unit"] == "CPU")


def test_every_figure_of_quotas_and_dollars_says_what_it_rests_on(capsys: pytest.CaptureFixture[str]) -> None:
    found = plan(capsys)
    assert all(len(entry["rests_on"]) > 10 for entry in [*found["quotas"], *found["dollars"]["parts"]])
    assert found["dollars"]["per_month"] == pytest.approx(
        sum(part["per_month"] for part in found["dollars"]["parts"]), abs=0.02
    )
    assert found["dollars"]["prices_of"] == PRICES_PLAIN["date"]
    assert any(found["dollars"]["prices_of"] in sentence for sentence in found["assumptions"])
    assert found["error"]["held_out"]


def test_the_parameters_are_the_templates_and_it_takes_them(capsys: pytest.CaptureFixture[str]) -> None:
    parameters = {name: str(value) for name, value in plan(capsys)["parameters"].items()}
    loaded = blueprint.load(TEMPLATE, parameters, stack_name="planned", account_id="0" * 12, region="us-east-1")
    assert loaded.streams[0].shard_count == int(parameters["ShardCount"])
    assert loaded.mappings[0].batch_size == int(parameters["BatchSize"])
    assert loaded.functions[0].reserved_concurrency == int(parameters["ReservedConcurrency"])


def test_the_template_takes_as_many_shards_as_are_ever_planned_and_as_an_account_begins_with() -> None:
    for shards in (1_387, candidates.SHARDS_MAX, quotas.ACCOUNT_SHARDS["us-east-1"]):
        parameters = {"ShardCount": str(shards)}
        loaded = blueprint.load(TEMPLATE, parameters, stack_name="planned", account_id="0" * 12, region="us-east-1")
        assert loaded.streams[0].shard_count == shards
    declared = TEMPLATE.partition("\n  ShardCount:\n")[2].partition("\n  RetentionHours:")[0]
    assert f"MaxValue: {quotas.TEMPLATE_SHARDS_MAX}\n" in declared
    assert quotas.ACCOUNT_SHARDS["us-east-1"] == SHARDS_MAX


def test_the_accounts_shards_are_those_of_the_region_whose_prices_are_planned_with() -> None:
    assert [quotas.account_shards(region) for region in ("us-east-1", "eu-west-1", "eu-central-1")] == [
        20_000, 20_000, 1_000,
    ]  # fmt: skip


def test_the_same_command_prints_the_same_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert planned_now(capsys) == plan(capsys)


def test_the_terminal_shows_everything_and_no_line_is_too_wide(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--rate", "300", "--aggregate", "off", "--malformed", "0.01"]) == 0
    text = capsys.readouterr().out
    for part in ("Template parameters", "ShardCount", "latency p50", "Quotas", "is used up first", "Dollars", "quarantine",
                 "Error against measured runs", "Assumptions", "not aggregated", "--parameter-overrides"):  # fmt: skip
        assert part in text
    assert max(map(len, text.splitlines())) <= 120


def test_what_nothing_can_do_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--rate", "100000", "--keys", "2"]) == 1
    assert "no number of shards helps" in capsys.readouterr().err
    assert main(["plan", "--rate", "10", "--latency-p99-ms", "50"]) == 1
    assert "NOT MET" in capsys.readouterr().out


def test_measured_runs_replace_the_service_times_and_their_own_error_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.json").write_text(json.dumps(report()))
    found = plan(capsys, "--measured", str(tmp_path))
    assert tmp_path.name in found["service_times"]["source"]
    assert found["error"]["held_out"] == {}
    assert [one["what"] for one in found["error"]["runs"]] == ["p50 latency"]
    assert found["error"]["calibration_runs"]["p50 latency"]["runs"] == 1


def test_predictions_beside_measurements(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [tmp_path / name for name in ("steady", "backlog")]
    for folder, profile in zip(folders, ("constant", "backlog"), strict=True):
        folder.mkdir()
        (folder / "report.json").write_text(json.dumps(report(profile=profile)))
    status = main(["plan", "--check", *map(str, folders), "--json"])
    found = json.loads(capsys.readouterr().out)
    page = (ROOT / "docs" / "planning.md").read_text().partition("\n## Check")[2].partition("\n## ")[0]
    assert [name for name in [*found, *found["runs"][0]] if f"`{name}`" not in page] == []
    assert [name for name in found["summary"]["p50 latency"] if f"`{name}`" not in page] == []
    assert found["schema"] == "infra-plan-check/2"
    assert [(one["run"], one["what"]) for one in found["runs"]] == [
        ("steady", "p50 latency"), ("backlog", "backlog drained"),
    ]  # fmt: skip
    assert status == (0 if all(one["within_tolerance"] for one in found["runs"]) else 1)
    main(["plan", "--check", str(folders[0] / "report.json")])
    assert re.search(r"p50 latency\s+[\d,]+ ms\s+900 ms\s+[-+]\d+%", capsys.readouterr().out)


def test_a_folder_that_cannot_be_used_says_why_and_the_others_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also one without a figure, and none of them takes part in the exit status."""
    plain: dict[str, Any] = {
        "good": report(),
        "replay": {**report(), "configuration": {"format": "clf"}},
        "bare": report(),
        "empty": None,
    }
    plain["good"]["numbers"]["commit_latency_p50_ms"] = 650.0
    plain["bare"]["numbers"]["commit_latency_p50_ms"] = None
    for name, told in plain.items():
        (tmp_path / name).mkdir()
        if told is not None:
            (tmp_path / name / "report.json").write_text(json.dumps(told))
    folders = [str(tmp_path / name) for name in plain]
    assert main(["plan", "--check", *folders, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["run"] for one in found["runs"]] == ["good"]
    assert [one["run"] for one in found["unusable"]] == ["replay", "bare", folders[3]]
    why = [one["why"] for one in found["unusable"]]
    assert "a replay has no rate" in why[0]
    assert "neither a latency nor a rate" in why[1]
    assert "neither a report.json nor a sweep.json" in why[2]
    assert main(["plan", "--check", *folders]) == 0
    text = capsys.readouterr().out
    assert "replay  not compared: a replay has no rate of its own" in text
    assert "p50 latency: median" in text
    assert main(["plan", "--check", *folders[1:]]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in ("replay", "bare", "empty"))


def test_a_figure_in_doubt_is_shown_and_not_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing that counts is nothing that was met."""
    throttled = report()
    throttled["numbers"]["commit_latency_p50_ms"] = 20_000.0
    throttled["limits"] |= {"limited_by": "table write capacity", "reason": "table write capacity: 5,134 accesses"}
    good = report()
    good["numbers"]["commit_latency_p50_ms"] = 650.0
    for name, told in (("throttled", throttled), ("good", good)):
        (tmp_path / f"{name}.json").write_text(json.dumps(told))
    both = [str(tmp_path / f"{name}.json") for name in ("throttled", "good")]
    assert main(["plan", "--check", *both]) == 0
    text = capsys.readouterr().out
    assert re.search(r"20,000 ms\s+-9\d% \(\?\)\n    does not count: it met a limit: table write capacity", text)
    assert re.search(
        r"p50 latency: median \d+%, at most \d+%, 1 of 1 runs within 20 %; 1 in doubt is not counted", text
    )
    assert main(["plan", "--check", both[0]]) == 1
    assert "p50 latency: not known: 1 in doubt is not counted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--rate is needed"),
        (["--rate", "0"], "--rate is 0; accepted: 0.01 to 1,000,000"),
        (["--rate", "1000001"], "--rate is 1,000,001; accepted: 0.01 to 1,000,000"),
        (["--rate", "1", "--event-bytes", "97"], "--event-bytes is 97; accepted: 98 to 262,144"),
        (["--rate", "nan"], "--rate is nan"),
        (["--rate", "1", "--keys", "0"], "--keys is 0"),
        (["--rate", "1", "--event-bytes", "999999"], "--event-bytes is 999,999"),
        (["--rate", "1", "--aggregate", "many"], "--aggregate many: a number from 1 to 10000, or off"),
        (["--rate", "1", "--aggregate", "0"], "--aggregate is 0"),
        (["--rate", "1", "--utilisation", "0"], "--utilisation is 0; accepted: 0.05 to 1"),
        (["--rate", "1", "--latency-p99-ms", "-1"], "--latency-p99-ms is -1"),
        (["--rate", "1", "--malformed", "1"], "--malformed is 1"),
        (["--rate", "1", "--linger-ms", "-5"], "--linger-ms is -5; accepted: 0 to 60,000"),
        (["--rate", "1", "--function-pause-ms", "-1"], "--function-pause-ms is -1; accepted: 0 to 899,000"),
        (["--rate", "1", "--prices", "/nonexistent.json"], "/nonexistent.json: --prices cannot be read"),
        (["--rate", "1", "--measured", "/nonexistent"], "/nonexistent: a measured run cannot be read"),
        (["--check", "/"], "/: there is neither a report.json nor a sweep.json in it"),
    ],
)
def test_a_mistake_is_one_sentence_and_exits_with_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("infra plan: ")
    assert sentence in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(("text", "sentence"), [("{", "is no JSON"), ("{}", "its schema is None"), ("[1]", "schema")])
def test_a_damaged_file_is_one_sentence(
    text: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.json").write_text(text)
    assert main(["plan", "--check", str(tmp_path)]) == 2
    assert sentence in capsys.readouterr().err
    prices = tmp_path / "prices.json"
    prices.write_text(text)
    assert main(["plan", "--rate", "1", "--prices", str(prices)]) == 2
    assert capsys.readouterr().err.startswith("infra plan: ")
