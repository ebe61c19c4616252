"""SHELL: the same handler, made slower on purpose, to measure what a longer service time does to throughput.

Not used unless the function's Handler is set to `processor.paused.handler`; every batch then waits PAUSE_MS
milliseconds before it is processed as always. `loadgen sweep --function-latency-ms` does that and undoes it.
"""

import time
from typing import TYPE_CHECKING

from processor import settings, stream

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

PAUSE_S = settings.pause_s()


def handler(event: object, context: stream.Context) -> "PartialItemFailureResponse":
    """Wait, then `processor.stream.handler`."""
    time.sleep(PAUSE_S)
    return stream.handler(event, context)
