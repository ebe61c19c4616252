"""SHELL: the mapping off while a backlog is filled, and on again to see how fast it drains."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from infra.ops.errors import ENVIRONMENT, CommandError, explained

if TYPE_CHECKING:
    from infra.ops.outputs import Connection

CHANGED_WITHIN_S = 180.0  # AWS takes up to about a minute for either
POLL_S = 0.25


class Switch:
    """The stack's event source mapping. Raises CommandError when Lambda does not answer or does not do it."""

    def __init__(self, connection: "Connection", mapping_id: str) -> None:
        self._lambda, self._id = connection.client("lambda"), mapping_id
        self._where = str(connection.target)

    def check(self) -> None:
        """A backlog starts from an enabled mapping: nobody else's decision is undone."""
        with explained(self._where):
            state = self._lambda.get_event_source_mapping(UUID=self._id)["State"]
            if state != "Enabled":
                raise CommandError(
                    f"the event source mapping {self._id} is {state}, and a backlog starts from an enabled one: "
                    f"aws lambda update-event-source-mapping --uuid {self._id} --enabled",
                    ENVIRONMENT,
                )

    def off(self, is_interrupted: Callable[[], bool]) -> None:
        """Disable it and wait until nothing more is read."""
        with explained(self._where):
            self._lambda.update_event_source_mapping(UUID=self._id, Enabled=False)
        self._until("Disabled", is_interrupted)

    def on(self) -> None:
        """Enable it; does not wait: what it takes until it reads again is part of draining."""
        with explained(self._where):
            self._lambda.update_event_source_mapping(UUID=self._id, Enabled=True)

    def _until(self, wanted: str, is_interrupted: Callable[[], bool]) -> None:
        until_s = time.monotonic() + CHANGED_WITHIN_S
        while not is_interrupted():
            with explained(self._where):
                state = self._lambda.get_event_source_mapping(UUID=self._id)["State"]
            if state == wanted:
                return
            if time.monotonic() > until_s:
                raise CommandError(
                    f"the event source mapping {self._id} is {state} and not {wanted} after {CHANGED_WITHIN_S:.0f} s"
                )
            time.sleep(POLL_S)
