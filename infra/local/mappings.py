"""SHELL: all event source mappings of the local stack, and their API.

What a mapping does is decided in `infra.model.mapping`; `mapping_runner` performs it, `mapping_api` shows it.
"""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from infra.blueprint import MappingBlueprint
from infra.local import mapping_api
from infra.local.http import Request, Response
from infra.local.mapping_ports import Deliver, Functions, PublishMetric, Streams, role_of
from infra.local.mapping_runner import MappingRunner
from infra.model.mapping import EventSourceMapping, MappingConfig, Pace, RequestIds

_STOP_WITHIN_S = 8.0


@dataclass
class _Mapping:
    blueprint: MappingBlueprint
    last_modified_s: float
    runner: MappingRunner | None = None

    @property
    def state(self) -> str:
        if self.runner is not None:
            return self.runner.machine.state
        return "Creating" if self.blueprint.enabled else "Disabled"

    @property
    def last_processing_result(self) -> str:
        if self.runner is None:
            return "No records processed"
        if self.runner.failure is not None:
            return f"PROBLEM: the mapping has stopped: {type(self.runner.failure).__name__}"
        return self.runner.machine.last_processing_result


class MappingService:
    """`add` all mappings, then `start`; they poll until `stop`. For one event loop."""

    def __init__(
        self,
        kinesis: Streams,
        functions: Functions,
        deliver: Deliver,
        clock: Callable[[], float] = time.time,
        *,
        publish_metric: PublishMetric | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._kinesis = kinesis
        self._functions = functions
        self._deliver = deliver
        self._clock = clock
        self._publish_metric = publish_metric
        self._pace = pace or Pace()
        self._mappings: dict[str, _Mapping] = {}

    def add(self, blueprint: MappingBlueprint) -> None:
        """Raises ValueError if the same function already reads the same stream (AWS: ResourceConflictException)."""
        for other in self._mappings.values():
            same = (other.blueprint.event_source_arn, other.blueprint.function_arn)
            if same == (blueprint.event_source_arn, blueprint.function_arn):
                name = blueprint.function_arn.split(":", 6)[6]
                raise ValueError(
                    f'The event source arn (" {blueprint.event_source_arn} ") and function (" {name} ") provided '
                    f"mapping already exists. Please update or delete the existing mapping with UUID "
                    f"{other.blueprint.uuid}"
                )
        self._mappings[blueprint.uuid] = _Mapping(blueprint, self._clock())

    async def start(self) -> None:
        """Begins to poll for every enabled mapping. Raises LookupError or ValueError for one that cannot run."""
        for mapping in self._mappings.values():
            if mapping.runner is None and mapping.blueprint.enabled:
                mapping.runner = await self._runner(mapping.blueprint)
                mapping.runner.start()

    async def stop(self) -> None:
        """Waits for what is under way, at most a bounded time, and leaves no task behind."""
        runners = [mapping.runner for mapping in self._mappings.values() if mapping.runner is not None]
        await asyncio.gather(*(runner.stop(_STOP_WITHIN_S) for runner in runners))

    async def handle(self, request: Request) -> Response:
        return mapping_api.answer(request, list(self._mappings.values()))

    async def _runner(self, blueprint: MappingBlueprint) -> MappingRunner:
        # Ids must differ from those of an earlier run, whose documents may lie in the same bucket.
        new_id = RequestIds(f"{blueprint.uuid}/{os.urandom(16).hex()}")
        role = await role_of(self._functions, blueprint.function_arn)
        machine = EventSourceMapping(_config(blueprint, role, self._pace), new_id)
        return MappingRunner(
            machine, self._kinesis, self._functions, self._deliver, clock=self._clock, publish=self._publish_metric
        )


def _config(blueprint: MappingBlueprint, role_arn: str, pace: Pace) -> MappingConfig:
    return MappingConfig(
        uuid=blueprint.uuid,
        function_arn=blueprint.function_arn,
        event_source_arn=blueprint.event_source_arn,
        role_arn=role_arn,
        starting_position=blueprint.starting_position,
        starting_position_timestamp_s=blueprint.starting_position_timestamp_s,
        batch_size=blueprint.batch_size,
        batching_window_s=blueprint.batching_window_s,
        parallelization_factor=blueprint.parallelization_factor,
        bisect_batch_on_function_error=blueprint.bisect_batch_on_function_error,
        retry_attempts_max=blueprint.retry_attempts_max,
        record_age_s_max=blueprint.record_age_s_max,
        report_batch_item_failures=blueprint.report_batch_item_failures,
        on_failure_destination_arn=blueprint.on_failure_destination_arn,
        event_count_metrics=blueprint.event_count_metrics,
        pace=pace,
    )
