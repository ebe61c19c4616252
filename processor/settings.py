"""SHELL: the only reader of the environment. One frozen Settings, or an error that says what to set.

The variables are set by infra/template.yaml from its parameters (named in brackets below).
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from processor.core.rule_api import RuleSettings

T = TypeVar("T")

_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_NAME = re.compile(r"[^\s]{1,255}")


class SettingsError(Exception):
    """One or more environment variables are missing or wrong; the message names each, its value and what to set."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the stream function can be told from outside."""

    results_table: str
    """RESULTS_TABLE: name of the table of totals, records and latest values."""
    quarantine_table: str
    """QUARANTINE_TABLE: name of the table of what could not be applied."""
    failure_bucket: str
    """FAILURE_BUCKET: bucket for quarantined payloads too large for the table."""
    rules_module: str
    """RULES_MODULE [RulesModule]: importable module with `effects(event, settings)`."""
    rules: RuleSettings
    """MEASURES [Measures], comma-separated, and WINDOW_SECONDS [WindowSeconds]."""
    quarantine_days: int
    """QUARANTINE_DAYS [QuarantineDays]: after how many days a quarantined record expires."""
    systemic_share: float
    """SYSTEMIC_SHARE [SystemicShare]: above this share of failing rules the batch is reported, not quarantined."""
    service: str
    """POWERTOOLS_SERVICE_NAME: the stack's name, dimension of every metric."""
    namespace: str
    """POWERTOOLS_METRICS_NAMESPACE."""
    log_level: str
    """POWERTOOLS_LOG_LEVEL."""


def pause_s(environ: Mapping[str, str] | None = None) -> float:
    """PAUSE_MS in seconds, what `processor.paused` adds to every batch; SettingsError if it is no time below 900 s."""
    said = (os.environ if environ is None else environ).get("PAUSE_MS", "0")
    if not (said.isascii() and said.isdigit() and len(said) <= 6 and int(said) < 900_000):
        raise SettingsError(f"PAUSE_MS is {said!r}; set it to whole milliseconds below 900000")
    return int(said) / 1000


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read Settings from `environ` (default: the process's); raise SettingsError naming everything that is wrong."""
    read = _Reader(os.environ if environ is None else environ)
    settings: dict[str, object] = {
        "results_table": read("RESULTS_TABLE", _matching(_TABLE), "the results table's name"),
        "quarantine_table": read("QUARANTINE_TABLE", _matching(_TABLE), "the quarantine table's name"),
        "failure_bucket": read("FAILURE_BUCKET", _matching(_BUCKET), "the failure bucket's name"),
        "rules_module": read("RULES_MODULE", _matching(_MODULE), "a module's dotted name", "processor.rules"),
        "quarantine_days": read("QUARANTINE_DAYS", _whole(1, 3650), "whole days from 1 to 3650", "30"),
        "systemic_share": read("SYSTEMIC_SHARE", _share, "a number above 0 and at most 1", "0.5"),
        "service": read("POWERTOOLS_SERVICE_NAME", _matching(_NAME), "the stack's name", "stream-processor"),
        "namespace": read("POWERTOOLS_METRICS_NAMESPACE", _matching(_NAME), "a namespace", "StreamProcessor"),
        "log_level": read("POWERTOOLS_LOG_LEVEL", _level, "DEBUG, INFO, WARNING or ERROR", "INFO"),
    }
    measures = read("MEASURES", _names, "names of measures separated by commas", "bytes,quantity")
    window_s = read("WINDOW_SECONDS", _whole(1, 366 * 86400), "whole seconds from 1 to a year", "3600")
    if measures is not None and window_s is not None:
        try:
            settings["rules"] = RuleSettings(measures, window_s)
        except ValueError as error:
            read.problems.append(f"MEASURES={','.join(measures)!r}: {error}")
    if read.problems:
        raise SettingsError("cannot start: " + "; ".join(read.problems) + " (set them in infra/template.yaml)")
    return Settings(**settings)  # type: ignore[arg-type]  # None only where there was a problem


class _Reader:
    """Reads one variable after the other and collects what is wrong."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def __call__(self, name: str, parse: Callable[[str], T], wanted: str, default: str | None = None) -> T | None:
        text = self._environ.get(name, default)
        if text is None:
            self.problems.append(f"{name} is not set: set it to {wanted}")
            return None
        try:
            return parse(text.strip())
        except ValueError:
            self.problems.append(f"{name}={text!r}: set it to {wanted}")
            return None


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(text)
        return text

    return parse


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return parse


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise ValueError(text)
    return share


def _level(text: str) -> str:
    if text.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise ValueError(text)
    return text.upper()


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if len(set(names)) != len(names):
        raise ValueError(text)
    return names
