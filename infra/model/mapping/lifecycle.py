"""PURE: the states of an event source mapping, and when a change of it comes into force.

    created --> Creating --+--> Enabled  --disabled--> Disabling --> Disabled
                           +--> Disabled --enabled---> Enabling  --> Enabled
    Enabled, Disabled --changed--> Updating --> what it was
    Enabled, Disabled --deleted--> Deleting --> gone

The middle states last `transition_s` and take no further change. What is reported and what happens are two things: a
change is in force `polling_lag_s` after its end was reported, so a mapping that says `Disabled` may still deliver for a
while, and one that says `Enabled` may not poll yet (AWS: services-kinesis-create, "eventually consistent").
"""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    CREATING = "Creating"
    ENABLING = "Enabling"
    ENABLED = "Enabled"
    DISABLING = "Disabling"
    DISABLED = "Disabled"
    UPDATING = "Updating"
    DELETING = "Deleting"


@dataclass(frozen=True, slots=True)
class Delays:
    """In seconds; with 0 a change is reported, and in force, at once. On AWS both together may take minutes."""

    transition_s: float = 0.0
    polling_lag_s: float = 0.0


class MappingInUseError(Exception):
    """The mapping is in a state in which it cannot be changed (AWS: ResourceInUseException)."""


class Lifecycle:
    """`enabled` is what is wanted; it is in force when `advance` has said so."""

    def __init__(self, delays: Delays, *, enabled: bool) -> None:
        self.state = State.CREATING
        self.enabled = enabled
        self.gone = False
        self._delays = delays
        self._reported_at_s: float | None = None
        self._in_force_at_s: float | None = None

    @property
    def deadline(self) -> float | None:
        """When `advance` is due."""
        times = [at_s for at_s in (self._reported_at_s, self._in_force_at_s) if at_s is not None]
        return min(times, default=None)

    def create(self, now: float) -> None:
        self._begin(State.CREATING, now)

    def resume(self, now: float) -> None:
        """A mapping that was there before: nothing is reported in between, and it is in force at once."""
        self._reported_at_s = self._in_force_at_s = now

    def change(self, now: float, *, enabled: bool | None = None) -> None:
        """Raises MappingInUseError while an earlier change is under way."""
        self._check_can("update")
        before, self.enabled = self.enabled, self.enabled if enabled is None else enabled
        if before == self.enabled:
            self._begin(State.UPDATING, now)
        else:
            self._begin(State.ENABLING if self.enabled else State.DISABLING, now)

    def delete(self, now: float) -> None:
        """Raises MappingInUseError while an earlier change is under way."""
        self._check_can("delete")
        self.enabled = False
        self._begin(State.DELETING, now)

    def advance(self, now: float) -> bool:
        """Time has passed; True if what is wanted came into force with it."""
        if self._reported_at_s is not None and now >= self._reported_at_s:
            self._reported_at_s = None
            self.gone = self.state is State.DELETING
            self.state = self.state if self.gone else State.ENABLED if self.enabled else State.DISABLED
        if self._in_force_at_s is None or now < self._in_force_at_s:
            return False
        self._in_force_at_s = None
        return True

    def _begin(self, state: State, now: float) -> None:
        self.state = state
        self._reported_at_s = now + self._delays.transition_s
        lag_s = 0.0 if state is State.DELETING else self._delays.polling_lag_s
        self._in_force_at_s = self._reported_at_s + lag_s

    def _check_can(self, what: str) -> None:
        if self.gone or self.state not in (State.ENABLED, State.DISABLED):
            # AWS: API_UpdateEventSourceMapping, API_DeleteEventSourceMapping, ResourceInUseException.
            raise MappingInUseError(f"Cannot {what} the event source mapping because it is in use.")
