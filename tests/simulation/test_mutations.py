"""The checkers see what they are there for: every machine broken on purpose is found out within 200 seeds."""

import pytest

from infra.sim.mutations import MUTATIONS, hunt

# These need the fewest seeds: they keep the checkers honest in every run of the tests.
QUICK = {
    "right half first",
    "checkpoint past a failing lane",
    "child before parent",
    "lane by index, not by key",
    "discard without document",
    "partial response ignored",
    "throttle counted as attempt",
    "commit without identity condition",
    "failed items acknowledged",
    "quarantine forgotten",
    "copies that the rules refuse are only copies",
    "an identity in one total of a batch",
    "batches of one",
    "larger half first",
    "a single record is divided",
    "retries without a wait",
    "functionError lost",
    "filters ignored",
    "an hour too little kept",
    "window state not handed on",
    "window ends again and again",
    "an update resets the budget",
    "checkpoint past a half-settled aggregate",
    "rest of an aggregate dropped after a report",
    "one user record per sequence number",
}


@pytest.mark.parametrize("name", sorted(QUICK))
def test_a_broken_machine_is_found_out_quickly(name: str) -> None:
    """Facts 2.11, 2.26, 3.2, 3.4, 3.5, 3.9, 4.3, 4.9, 4.14, 4.20, 4.23, 5.5, 6.4, 7.2, 7.5, 9.10: a mapping that did otherwise would be seen."""
    found = hunt(name, seeds_max=60)
    assert found is not None, f"no checker saw {name!r}"
    assert found.checker != "no exception", f"{name!r} is no mistake but a broken patch: {found.what}"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MUTATIONS.keys() - QUICK))
def test_a_broken_machine_is_found_out(name: str) -> None:
    """Facts 2.21, 2.27, 3.6, 3.10, 4.5, 4.7, 4.8, 4.10, 4.15, 4.25, 4.26: a mapping that did otherwise would be seen."""
    found = hunt(name)
    assert found is not None, f"no checker saw {name!r}"
    assert found.checker != "no exception", f"{name!r} is no mistake but a broken patch: {found.what}"


def test_a_mutation_is_repaired_after_use() -> None:
    before = [vars(owner)[attribute] for each in MUTATIONS.values() for owner, attribute, _ in each.patches]
    for each in MUTATIONS.values():
        with each.broken():
            assert all(vars(owner)[attribute] not in before for owner, attribute, _ in each.patches)
    assert before == [vars(owner)[attribute] for each in MUTATIONS.values() for owner, attribute, _ in each.patches]


def test_there_are_at_least_ten() -> None:
    assert len(MUTATIONS) >= 10
