"""DRIVER: what UpdateEventSourceMapping makes of a running mapping."""

from dataclasses import replace
from random import Random

from infra.model.mapping import MappingConfig, Pace
from infra.sim.scenario import Scenario

BATCH_SIZE_MAX = 10_000


def changed(scenario: Scenario, config: MappingConfig, random: Random) -> MappingConfig:
    """Batches are formed otherwise, or are what they were and judged otherwise when they fail."""
    if random.random() < 0.5:
        factor = 1 if scenario.tumbling_window_s else random.choice((1, 2, 4, 10))
        size = min(BATCH_SIZE_MAX, max(1, int(scenario.batch_size * random.choice((0.5, 1, 2)))))
        return replace(config, parallelization_factor=factor, batch_size=size)
    retries, age_s = random.choice((-1, 0, 1, 2, 5)), random.choice((-1, -1, 60, 90))
    if retries == age_s == -1 and config.pace.event_bytes_max < Pace().event_bytes_max:
        retries = 2  # a record that is too large for an event would be tried for ever (fact 1.14)
    bisect = random.random() < 0.5
    return replace(config, retry_attempts_max=retries, record_age_s_max=age_s, bisect_batch_on_function_error=bisect)


def told(before: MappingConfig, after: MappingConfig) -> str:
    """What is another one, for the trace."""
    names = (
        "parallelization_factor",
        "batch_size",
        "retry_attempts_max",
        "record_age_s_max",
        "bisect_batch_on_function_error",
    )
    return " ".join(f"{name}={getattr(after, name)}" for name in names if getattr(after, name) != getattr(before, name))
