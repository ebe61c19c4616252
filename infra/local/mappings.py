"""SHELL: all event source mappings of the local stack: those of the template and those that were created, their API,
and what is kept of them.

What a mapping does is decided in `infra.model.mapping`; `mapping_runner` performs it, `mapping_api` is its wire,
`mapping_store` its files. A template's mapping takes the way of one that is created through the API.
"""

import asyncio
import logging
import os
import time
import uuid as uuids
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.blueprint import MappingBlueprint
from infra.local import mapping_api, mapping_managed
from infra.local.http import Request, Response
from infra.local.mapping_managed import ManagedMapping
from infra.local.mapping_ports import Deliver, Function, Functions, PublishMetric, Streams, function_of
from infra.local.mapping_runner import MappingRunner
from infra.local.mapping_store import KeptMappings, MappingStore
from infra.model.mapping import Delays, EventSourceMapping, MappingInUseError, Pace, RequestIds, Sharing, listing
from infra.model.mapping import settings as words
from infra.model.mapping.errors import (
    MappingError,
    invalid_parameter,
    mapping_not_found,
    stream_not_found,
)
from infra.model.stream import StreamError

log = logging.getLogger("infra.mapping")

_STOP_WITHIN_S = 8.0
# As short as one can still see a state change; AWS takes seconds to minutes.
DELAYS = Delays(transition_s=0.3)


class MappingService:
    """`add` the template's mappings, then `start`; they poll until `stop`. For one event loop.

    `data_dir` is where mappings are kept, with their checkpoints; None: they end with this object. Raises OSError when
    the folder cannot be used, mapping_store.StoreError when what it holds cannot be read.
    """

    def __init__(
        self,
        kinesis: Streams,
        functions: Functions,
        deliver: Deliver,
        clock: Callable[[], float] = time.time,
        *,
        publish_metric: PublishMetric | None = None,
        pace: Pace | None = None,
        delays: Delays = DELAYS,
        data_dir: Path | None = None,
    ) -> None:
        self._kinesis = kinesis
        self._functions = functions
        self._deliver = deliver
        self._clock = clock
        self._publish_metric = publish_metric
        self._pace = pace or Pace()
        self._delays = delays
        self._sharing = Sharing()
        self._mappings: dict[str, ManagedMapping] = {}
        self._burials: set[asyncio.Task[None]] = set()
        self._kept = KeptMappings(None if data_dir is None else MappingStore(data_dir), self._document)

    # The template's

    def add(self, blueprint: MappingBlueprint) -> None:
        """Raises MappingError for what AWS refuses, as that the same function already reads the same stream.

        One that was kept goes on at its checkpoint, with what the API has changed of it, unless the template has been
        changed since (as CloudFormation leaves alone what a new template does not touch).
        """
        settings = mapping_managed.settings_of(blueprint)
        deployed = {"function_arn": blueprint.function_arn, "enabled": blueprint.enabled, "settings": settings}
        mapping = ManagedMapping(
            blueprint.uuid,
            blueprint.event_source_arn,
            blueprint.function_arn,
            settings,
            blueprint.enabled,
            self._clock(),
            deployed=deployed,
            is_new=False,  # whoever deploys a stack waits until its mappings are enabled
        )
        saved = self._kept.found.pop(blueprint.uuid, None)
        if saved is not None and not words.is_replaced(saved, vars(mapping)):
            mapping.snapshot, mapping.tags = saved["snapshot"], saved.get("tags", {})
            if saved["deployed"] == deployed:
                mapping = mapping_managed.of_saved(saved)
        mapping.config(self._pace)
        self._check_new_pair(mapping.event_source_arn, mapping.function_arn)
        self._mappings[mapping.uuid] = mapping

    # Life

    async def start(self) -> None:
        """Begins to poll for every enabled mapping. Raises LookupError or MappingError for one that cannot run."""
        for uuid in list(self._kept.found):
            saved = self._kept.found.pop(uuid)
            if saved["deployed"] is None:
                await self._start_kept(mapping_managed.of_saved(saved))
            else:  # the template does not have it any more
                self._kept.remove(uuid)
        for mapping in self._mappings.values():
            if mapping.runner is None and mapping.problem is None:
                mapping.role_arn = (await function_of(self._functions, mapping.function_arn)).role_arn
                self._run(mapping)

    async def stop(self) -> None:
        """Waits for what is under way, at most a bounded time, and leaves no task behind."""
        runners = [mapping.runner for mapping in self._mappings.values() if mapping.runner is not None]
        await asyncio.gather(*(runner.stop(_STOP_WITHIN_S) for runner in runners))
        for task in self._burials:
            task.cancel()
        await asyncio.gather(*self._burials, return_exceptions=True)
        self._kept.save(self._mappings)

    async def handle(self, request: Request) -> Response:
        return await mapping_api.answer(request, self)

    # The API's

    def all(self) -> Sequence[ManagedMapping]:
        return list(self._mappings.values())

    async def create(self, body: Mapping[str, Any]) -> ManagedMapping:
        """CreateEventSourceMapping. Raises MappingError."""
        settings = words.created(body)
        source, name = words.source_and_function(body)
        enabled = words.enabled_of(body)
        mapping = ManagedMapping(
            str(uuids.uuid4()), source, name, settings, True if enabled is None else enabled, self._clock()
        )
        mapping.tags = words.tags_of(body)
        mapping.config(self._pace).check_start(self._clock())
        mapping.function_arn, mapping.role_arn = await self._function(name)
        self._check_stream(source)
        self._check_new_pair(source, mapping.function_arn)
        self._mappings[mapping.uuid] = mapping
        self._run(mapping)
        return mapping

    async def update(self, uuid: str, body: Mapping[str, Any]) -> ManagedMapping:
        """UpdateEventSourceMapping. Raises MappingError and MappingInUseError; then nothing is changed."""
        mapping = self._found(uuid)
        changed = replace(mapping)
        changed.settings = words.updated(mapping.settings, body)
        enabled = words.enabled_of(body)
        changed.config(self._pace)
        if body.get("FunctionName") is not None:
            changed.function_arn, changed.role_arn = await self._function(str(body["FunctionName"]))
            self._check_new_pair(mapping.event_source_arn, changed.function_arn, uuid)
        if mapping.runner is None:
            raise MappingInUseError("Cannot update the event source mapping because it is in use.")
        mapping.runner.update(changed.config(self._pace), enabled=enabled)
        mapping.settings, mapping.last_modified_s = changed.settings, self._clock()
        mapping.function_arn, mapping.role_arn = changed.function_arn, changed.role_arn
        mapping.enabled = mapping.enabled if enabled is None else enabled
        self._kept.save([uuid])
        return mapping

    async def delete(self, uuid: str) -> ManagedMapping:
        """DeleteEventSourceMapping: it is listed as Deleting for a while. Raises MappingError, MappingInUseError."""
        mapping = self._found(uuid)
        if mapping.runner is None:
            del self._mappings[uuid]
        else:
            mapping.runner.delete()
            task = asyncio.create_task(self._bury(mapping, mapping.runner))
            self._burials.add(task)
            task.add_done_callback(self._burials.discard)
        self._kept.remove(uuid)
        return mapping

    def tag(self, uuid: str, tags: Mapping[str, str]) -> None:
        """From now on the mapping has these tags. Raises MappingError."""
        self._found(uuid).tags = tags
        self._kept.save([uuid])

    async def _bury(self, mapping: ManagedMapping, runner: MappingRunner) -> None:
        await runner.gone.wait()
        del self._mappings[mapping.uuid]
        await runner.stop(_STOP_WITHIN_S)

    # Inside

    def _found(self, uuid: str) -> ManagedMapping:
        mapping = self._mappings.get(uuid)
        if mapping is None:
            raise mapping_not_found()
        return mapping

    async def _function(self, name: str) -> Function:
        try:
            return await function_of(self._functions, name)
        except LookupError as error:
            raise invalid_parameter("Function does not exist") from error

    def _check_stream(self, stream_arn: str) -> None:
        try:
            self._kinesis.shards(stream_arn)
        except StreamError as error:
            raise stream_not_found(stream_arn) from error

    def _check_new_pair(self, event_source_arn: str, function_arn: str, uuid: str | None = None) -> None:
        others = [other for other in self._mappings.values() if other.uuid != uuid]
        listing.check_new_pair(others, event_source_arn, function_arn)

    async def _start_kept(self, mapping: ManagedMapping) -> None:
        """One that the API made in an earlier run. Its function or stream may be gone by now: then it tries until they
        are there again. If the template has the same pair by now, that one runs instead.
        """
        try:
            self._check_new_pair(mapping.event_source_arn, mapping.function_arn)
        except MappingError as error:
            log.warning("mapping %s of an earlier run does not run: %s", mapping.uuid, error.message)
            mapping.problem = error.message
            self._mappings[mapping.uuid] = mapping
            return
        try:
            mapping.role_arn = (await self._function(mapping.function_arn)).role_arn
        except MappingError as error:
            log.warning("mapping %s of an earlier run waits for its function: %s", mapping.uuid, error.message)
            mapping.problem = error.message
        self._mappings[mapping.uuid] = mapping
        self._run(mapping)

    def _run(self, mapping: ManagedMapping) -> None:
        # Ids must differ from those of an earlier run, whose documents may lie in the same bucket.
        new_id = RequestIds(f"{mapping.uuid}/{os.urandom(16).hex()}")
        machine = EventSourceMapping(
            mapping.config(self._pace),
            new_id,
            snapshot=mapping_managed.take_snapshot(mapping),
            enabled=mapping.enabled,
            delays=self._delays,
            sharing=self._sharing,
        )
        runner = mapping.runner = MappingRunner(
            machine,
            self._kinesis,
            self._functions,
            self._deliver,
            clock=self._clock,
            publish=self._publish_metric,
            moved=lambda: self._kept.moved(mapping.uuid),
        )
        runner.create() if mapping.is_new else runner.start()
        self._kept.save([mapping.uuid])

    # What is kept

    def _document(self, uuid: str) -> dict[str, Any] | None:
        """What is to be on disk of a mapping; None if it is as it is there."""
        mapping = self._mappings.get(uuid)
        if mapping is None or mapping.runner is None or mapping.state == "Deleting":
            return None
        return mapping_managed.document(mapping)
