"""Settings: every wrong variable is named with its value and what to set."""

import os

import pytest

from processor.core.rule_api import RuleSettings
from processor.settings import SettingsError, load, pause_s

GOOD = {"RESULTS_TABLE": "results", "QUARANTINE_TABLE": "quarantine", "FAILURE_BUCKET": "failures"}


def test_three_names_are_enough() -> None:
    settings = load(GOOD)
    assert (settings.results_table, settings.quarantine_table, settings.failure_bucket) == tuple(GOOD.values())
    assert settings.rules == RuleSettings(("bytes", "quantity"), 3600)
    assert (settings.rules_module, settings.quarantine_days, settings.systemic_share) == ("processor.rules", 30, 0.5)


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MEASURES", " tokens , seconds ")
    monkeypatch.setenv("WINDOW_SECONDS", "60")
    assert load().rules == RuleSettings(("tokens", "seconds"), 60)
    assert load() == load(dict(os.environ))


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_name_is_an_error_that_names_it(name: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name} is not set: set it to"):
        load({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RESULTS_TABLE", "no spaces"),
        ("RESULTS_TABLE", ""),
        ("FAILURE_BUCKET", "Upper"),
        ("RULES_MODULE", "rules.py/x"),
        ("RULES_MODULE", "a..b"),
        ("MEASURES", "bytes,bytes"),
        ("MEASURES", "bad name"),
        ("WINDOW_SECONDS", "0"),
        ("WINDOW_SECONDS", "an hour"),
        ("QUARANTINE_DAYS", "1.5"),
        ("SYSTEMIC_SHARE", "0"),
        ("SYSTEMIC_SHARE", "50%"),
        ("SYSTEMIC_SHARE", "nan"),
        ("POWERTOOLS_LOG_LEVEL", "LOUD"),
    ],
)
def test_a_wrong_value_is_an_error_with_the_variable_and_its_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        load({**GOOD, name: value})
    assert f"{name}={value!r}" in str(wrong.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SettingsError, match=r"(?s)RESULTS_TABLE.*QUARANTINE_DAYS.*WINDOW_SECONDS"):
        load({**GOOD, "RESULTS_TABLE": "?", "QUARANTINE_DAYS": "0", "WINDOW_SECONDS": "x"})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        load(GOOD).results_table = "other"  # type: ignore[misc]  # that is the point


def test_a_pause_is_told_in_milliseconds_and_nothing_else_is_taken_for_one() -> None:
    assert pause_s({}) == 0
    assert pause_s({"PAUSE_MS": "250"}) == 0.25
    for wrong in ("", "-1", "1.5", "900000", "soon", "9" * 5000):
        with pytest.raises(SettingsError, match="PAUSE_MS"):
            pause_s({"PAUSE_MS": wrong})
