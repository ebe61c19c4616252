"""PURE: what the local services measure, in CloudWatch's terms: measurements in, MetricDatum values out.

`measurements` makes them from what a function and a shard report, `embedded` from log lines (EMF), `buffer` adds them
up until they are handed over.
"""

from infra.model.metrics.buffer import Datum, Measurement, MetricBuffer
from infra.model.metrics.embedded import embedded
from infra.model.metrics.measurements import Invocation, of_invocation, of_mapping, of_shards, of_tables

__all__ = [
    "Datum",
    "Invocation",
    "Measurement",
    "MetricBuffer",
    "embedded",
    "of_invocation",
    "of_mapping",
    "of_shards",
    "of_tables",
]
