"""PURE: what the parts of one mapping share: its configuration, its clockwork, and the commands being collected."""

from collections import Counter
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from infra.model.mapping.commands import FUNCTION_METRICS, Command, Metric
from infra.model.mapping.config import MappingConfig
from infra.model.mapping.events import EventEncoder
from infra.model.mapping.filters import Filter
from infra.model.mapping.sharing import Sharing
from infra.model.mapping.timers import Timers
from infra.model.mapping.windows import OpenWindow, ShardWindows

if TYPE_CHECKING:
    from infra.model.mapping.lane import Lane

NO_RECORDS = "No records processed"
OK = "OK"
CALL_FAILED = "PROBLEM: Function call failed"


class Context:
    """`totals` counts every metric that adds up, whether it is published or not; IteratorAge is not a sum.

    `open_windows` are the tumbling windows by shard; they outlast the shards' readers, as checkpoints do. `refused` are
    the lanes whose batch was refused and has not run since, in the order in which that began: their turn comes so.
    """

    def __init__(self, config: MappingConfig, new_id: Callable[[], str], sharing: Sharing) -> None:
        self.new_id = new_id
        self.sharing = sharing
        self.open_windows: dict[str, OpenWindow] = {}
        self.reconfigure(config)
        self.timers: Timers[Hashable] = Timers()
        self.refused: dict[Lane, None] = {}
        self.commands: list[Command] = []
        self.totals: Counter[str] = Counter()
        self.last_processing_result = NO_RECORDS
        self.stopping = False
        self._numbered = 0

    def reconfigure(self, config: MappingConfig) -> None:
        self.config = config
        self.encoder = EventEncoder(
            event_source_arn=config.event_source_arn, region=config.region, role_arn=config.role_arn
        )
        self.filter = Filter(config.filters) if config.filters else None

    def windows_of(self, shard_id: str) -> ShardWindows | None:
        """None without tumbling windows; a window that an update has left open is gone then."""
        config = self.config
        if not config.tumbling_window_s:
            self.open_windows.pop(shard_id, None)
            return None
        return ShardWindows(
            self.open_windows,
            shard_id,
            length_s=config.tumbling_window_s,
            idle_close_s=config.pace.window_idle_close_s,
            state_bytes_max=config.pace.window_state_bytes_max,
        )

    def number(self) -> int:
        """A number for an invocation or a delivery, never used before."""
        self._numbered += 1
        return self._numbered

    def count(self, name: str, value: int) -> None:
        """The mapping's event counts are published only if the mapping asks for them (AWS: MetricsConfig)."""
        self.totals[name] += value
        if self.config.event_count_metrics or name in FUNCTION_METRICS:
            self.commands.append(Metric(name, value))

    def take_commands(self) -> list[Command]:
        taken, self.commands = self.commands, []
        return taken
