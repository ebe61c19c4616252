"""SHELL: one mapping as the service knows it, and as it is kept on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.blueprint import MappingBlueprint
from infra.local.mapping_runner import MappingRunner
from infra.model.mapping import MappingConfig, Pace, settings
from infra.model.mapping.settings import Settings

_KEPT = ("uuid", "event_source_arn", "function_arn", "settings", "enabled", "last_modified_s", "deployed", "tags")


@dataclass
class ManagedMapping:
    """`deployed` is what the template said when it was last deployed; None for a mapping that the API created.

    `problem` is why it does not run, if it has no runner; else why its function could not be found before it ran.
    """

    uuid: str
    event_source_arn: str
    function_arn: str
    settings: Settings
    enabled: bool
    last_modified_s: float
    deployed: dict[str, Any] | None = None
    snapshot: dict[str, Any] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    is_new: bool = True
    role_arn: str = ""
    problem: str | None = None
    runner: MappingRunner | None = None

    @property
    def state(self) -> str:
        if self.runner is None:
            return "Creating" if self.problem is None else "Disabled"
        return self.runner.machine.state

    @property
    def last_processing_result(self) -> str:
        if self.runner is None:
            return "No records processed" if self.problem is None else f"PROBLEM: {self.problem}"
        if self.runner.failure is not None:
            return f"PROBLEM: the mapping has stopped: {type(self.runner.failure).__name__}"
        if self.problem is not None and not self.runner.machine.totals["InvokedEventCount"]:
            return f"PROBLEM: {self.problem}"
        return self.runner.machine.last_processing_result

    def config(self, pace: Pace) -> MappingConfig:
        """Raises MappingError."""
        return settings.config_of(
            self.settings,
            uuid=self.uuid,
            event_source_arn=self.event_source_arn,
            function_arn=self.function_arn,
            role_arn=self.role_arn,
            pace=pace,
        )


def document(mapping: ManagedMapping) -> dict[str, Any]:
    """For the disk."""
    assert mapping.runner is not None
    snapshot = {"machine": mapping.runner.machine.snapshot()}
    kept = {name: getattr(mapping, name) for name in _KEPT}
    return {**kept, "role_arn": mapping.role_arn, "snapshot": snapshot}


def take_snapshot(mapping: ManagedMapping) -> dict[str, Any] | None:
    """The machine's that was kept, once."""
    kept, mapping.snapshot = mapping.snapshot, None
    if kept is None:
        return None
    # Earlier versions kept the shards' starting sequence numbers beside the machine's own words.
    return {"starting_sequence_numbers": kept.get("starting_sequence_numbers", {}), **kept["machine"]}


def of_saved(saved: Mapping[str, Any]) -> ManagedMapping:
    kept = {"tags": {}, **{name: saved[name] for name in _KEPT if name in saved}}  # tags came later than the format
    return ManagedMapping(**kept, role_arn=saved.get("role_arn", ""), snapshot=saved["snapshot"], is_new=False)


def settings_of(blueprint: MappingBlueprint) -> Settings:
    """What a template says, as the body of the request that CloudFormation would make of it."""
    return settings.created(
        {
            "StartingPosition": blueprint.starting_position,
            "StartingPositionTimestamp": blueprint.starting_position_timestamp_s,
            **{
                name: getattr(blueprint, attribute, settings.DEFAULTS[name])
                for name, attribute in settings.PLAIN.items()
            },
            "DestinationConfig": {"OnFailure": {"Destination": blueprint.on_failure_destination_arn or ""}},
            "FunctionResponseTypes": [settings.REPORT] if blueprint.report_batch_item_failures else [],
            "MetricsConfig": {"Metrics": [settings.EVENT_COUNT] if blueprint.event_count_metrics else []},
            "FilterCriteria": {"Filters": [{"Pattern": each} for each in getattr(blueprint, "filters", ())]},
        }
    )
