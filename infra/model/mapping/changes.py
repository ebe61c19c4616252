"""PURE: what becomes of a running mapping that is changed, disabled, enabled, deleted or stopped, or whose stream is
another one: when that is in force, how it comes to rest, and what is kept.
"""

from infra.model.mapping.config import MappingConfig
from infra.model.mapping.context import NO_RECORDS, Context
from infra.model.mapping.lifecycle import Delays, Lifecycle
from infra.model.mapping.polling import Polling


class Changes:
    """`lifecycle` says what is reported and wanted; `stopped` is for good."""

    def __init__(self, context: Context, polling: Polling, delays: Delays, *, enabled: bool) -> None:
        self.lifecycle = Lifecycle(delays, enabled=enabled)
        self.stopped = False
        self._context = context
        self._polling = polling
        self._config: MappingConfig | None = None  # not in force yet
        self._begins_anew = False  # as soon as what is under way for the stream that is gone has ended
        context.stopping = True  # until it polls

    def update(self, now: float, config: MappingConfig | None, *, enabled: bool | None) -> None:
        """Raises MappingInUseError while an earlier change is under way, and ValueError for what cannot be changed."""
        if config is not None:
            self._context.config.check_change_to(config)
        self.lifecycle.change(now, enabled=enabled)
        self._config = config or self._config

    def stop(self) -> None:
        self._context.stopping = self.stopped = True

    def advance(self, now: float) -> None:
        """Time has passed: what was wanted may be in force with it."""
        if self.stopped or not self.lifecycle.advance(now):
            return
        config, self._config = self._config, None
        self._context.stopping = self._begins_anew or not self.lifecycle.enabled
        if config is not None and config != self._context.config:
            self._reconfigure(config, now)
        if self._context.stopping:
            self._come_to_rest(now)
        else:
            self._polling.go_on(now)

    def begin_anew(self, now: float) -> None:
        """The stream is another one of the same name."""
        self._begins_anew = self._context.stopping = True
        self._come_to_rest(now)

    def forget_when_quiet(self, now: float) -> None:
        """Disabled, and what was under way has ended: only the checkpoints are kept, if they are this stream's."""
        if not self._context.stopping or self.stopped or not self._polling.quiet:
            return
        self._polling.leave()
        self._context.refused.clear()
        if self._begins_anew:
            self._begins_anew = False
            self._context.open_windows.clear()
            self._context.last_processing_result = NO_RECORDS
            self._polling.begin_anew()
            self._context.stopping = not self.lifecycle.enabled
            if self.lifecycle.enabled:
                self._polling.go_on(now)

    def _reconfigure(self, config: MappingConfig, now: float) -> None:
        forms_the_same = config.forms_the_same_batches_as(self._context.config)
        self._context.reconfigure(config)
        for shard in self._polling.shards.values():
            if forms_the_same:
                shard.reconfigured(now)
            else:
                shard.regroup()

    def _come_to_rest(self, now: float) -> None:
        for shard in self._polling.shards.values():
            self._polling.poll(shard, now)  # those that are subscribed unsubscribe
        self.forget_when_quiet(now)
