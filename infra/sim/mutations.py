"""DRIVER: breaks one thing on purpose, and finds out how many seeds it takes a checker to see it."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from infra.sim import mutants, mutants_fan_out, mutants_processor
from infra.sim.faults import Faults
from infra.sim.patching import Patch
from infra.sim.scenario import scenario
from infra.sim.simulation import simulate

SEEDS_MAX = 200
EVENTS = 300


@dataclass(frozen=True, slots=True)
class Mutation:
    """One mistake, as the functions that it replaces. `fixed` are settings of the search: the seeds vary the others."""

    patches: tuple[Patch, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @contextmanager
    def broken(self) -> Iterator[None]:
        with ExitStack() as repairs:
            for owner, attribute, by in self.patches:
                before: Any = vars(owner)[attribute]
                setattr(owner, attribute, by(before))
                repairs.callback(setattr, owner, attribute, before)
            yield


class Found(NamedTuple):
    """How many seeds it took, which checker saw the mutation, and what it said."""

    seeds: int
    checker: str
    what: str


def hunt(name: str, seeds_max: int = SEEDS_MAX) -> Found | None:
    """Simulate varied seeds from 1 with this mutation until one breaks a promise; None if none of them does."""
    mutation = MUTATIONS[name]
    with mutation.broken():
        for seed in range(1, seeds_max + 1):
            found = simulate(scenario(seed, EVENTS, Faults(), template={}, vary=True, fixed=mutation.fixed)).violation
            if found is not None:
                return Found(seed, found.checker, found.what)
    return None


# What a mistake needs to show, where fewer than one seed in fifty draws it. Attempts carry over only from an undivided
# batch that failed, then succeeded in part, and then failed again before its retries were used up. LATEST is forgotten
# where a mapping begins again after it has read of a shard, but before the shard has a checkpoint. Texts and numbers
# differ where numbers have more and more digits; a batch's front is too old where there is an age.
SETTINGS: dict[str, dict[str, Any]] = {
    "budget not reset by progress": {"retries": 1, "bisect": False, "report": True},
    "reported numbers compared as text": {"short_numbers": True, "report": True},
    "whole batch too old with its front": {"record_age_s": 60},
    "LATEST forgotten": {
        "starting_position": "LATEST",
        "starting_position_timestamp_s": None,
        "begins_after_s": 4.0,
        "rate": 20,
    },
}

MUTATIONS = {
    name: Mutation(patches, SETTINGS.get(name, {}))
    for name, patches in (mutants.PATCHES | mutants_fan_out.PATCHES | mutants_processor.PATCHES).items()
}
