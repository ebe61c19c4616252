"""DRIVER: how often each batch was tried, and whether it may be tried again or was given up in time.

N retries are N + 1 attempts (fact 4.5); what did not run counts for nothing (fact 4.3); a part of a batch has a budget
of its own (fact 4.7). An update that leaves batches as they are changes how many attempts they may have, and not how
many they had.
"""

from typing import NamedTuple

from infra.model.mapping import MappingConfig
from infra.sim.violation import Violation


class Attempts(NamedTuple):
    """Of a request id: how many were made that count, and the functionError of the last one.

    `updated`: the mapping's settings have changed since it was last sent.
    """

    made: int
    error: str | None
    updated: bool


class AttemptBook:
    """By request id, over all mappings that follow each other."""

    def __init__(self) -> None:
        self._made: dict[str, int] = {}
        self._errors: dict[str, str | None] = {}  # the functionError of the last attempt that ran
        self._updates = 0
        self._sent_after: dict[str, int] = {}  # so many updates

    def updated(self) -> None:
        self._updates += 1

    def sent(self, config: MappingConfig, request_id: str, records: int) -> None:
        failed, retries = self._made.get(request_id, 0), config.retry_attempts_max
        self._sent_after[request_id] = self._updates
        if retries != -1 and failed > retries:
            raise Violation("retry budget", f"attempt {failed + 1} with MaximumRetryAttempts {retries}")
        if config.bisect_batch_on_function_error and failed and records > 1:
            raise Violation("bisect", f"a failed batch of {records} is sent again unchanged")

    def ran(self, request_id: str, *, error: str | None) -> None:
        self._errors[request_id] = error

    def counts(self, request_id: str) -> None:
        """An attempt has ended without progress."""
        self._made[request_id] = self._made.get(request_id, 0) + 1

    def of(self, request_id: str) -> Attempts:
        updated = self._sent_after.get(request_id) != self._updates
        return Attempts(self._made.get(request_id, 0), self._errors.get(request_id), updated)
