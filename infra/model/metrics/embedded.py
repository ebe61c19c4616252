"""PURE: metrics out of log lines, in the embedded metric format (AWS: CloudWatch_Embedded_Metric_Format_Specification).

A line that is not EMF, or breaks its rules, is a log line and nothing more, as on AWS.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from infra.model.metrics.buffer import Dimensions, Measurement

DIMENSIONS_MAX = 30  # of one set
VALUES_MAX = 100  # of one metric in one line
METRICS_MAX = 100  # of one directive


def embedded(line: str) -> list[Measurement]:
    """The measurements in one log line; most lines have none."""
    if not line.startswith("{") or '"_aws"' not in line:
        return []
    try:
        document = json.loads(line)
        metadata = document["_aws"]
        time_s = metadata["Timestamp"] / 1000
        directives = metadata["CloudWatchMetrics"]
        return [each for directive in directives for each in _of_directive(directive, document, time_s)]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []


def _of_directive(directive: Mapping[str, Any], document: Mapping[str, Any], time_s: float) -> Iterator[Measurement]:
    sets = [found for keys in directive["Dimensions"] if (found := _dimensions(keys, document)) is not None]
    for metric in directive["Metrics"][:METRICS_MAX]:
        values = document.get(metric["Name"])
        for value in (values if isinstance(values, list) else [values])[:VALUES_MAX]:
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                continue
            for dimensions in sets:
                unit = metric.get("Unit", "None")
                yield Measurement(directive["Namespace"], metric["Name"], dimensions, unit, float(value), time_s)


def _dimensions(keys: list[str], document: Mapping[str, Any]) -> Dimensions | None:
    """None when one of them is not there as a text: then nothing is published under this set."""
    if len(keys) > DIMENSIONS_MAX or not all(isinstance(document.get(key), str) for key in keys):
        return None
    return tuple((key, document[key]) for key in sorted(keys))
