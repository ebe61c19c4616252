"""DRIVER: breaks one thing on purpose, and finds out how many seeds it takes a checker to see it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from infra.sim import mutants
from infra.sim.faults import Faults
from infra.sim.mutants import Patch
from infra.sim.scenario import scenario
from infra.sim.simulation import simulate

SEEDS_MAX = 200
EVENTS = 300


@dataclass(frozen=True, slots=True)
class Mutation:
    """One mistake, as the functions that it replaces."""

    patches: tuple[Patch, ...]

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
    with MUTATIONS[name].broken():
        for seed in range(1, seeds_max + 1):
            found = simulate(scenario(seed, EVENTS, Faults(), template={}, vary=True, fixed={})).violation
            if found is not None:
                return Found(seed, found.checker, found.what)
    return None


MUTATIONS = {name: Mutation(patches) for name, patches in mutants.PATCHES.items()}
