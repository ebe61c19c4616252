"""The machine that the local stack shares: its CPU bounds what is drained, and on AWS there is none."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.plan import check, extent
from infra.plan.allowances import quotas_of
from infra.plan.backlog import sustained
from infra.plan.basis import Basis
from infra.plan.command import on_machine
from infra.plan.expect import expect
from infra.plan.load import Wish, spread
from infra.plan.machine import Machine, Shared, Work, from_plain, to_plain
from infra.plan.measured import runs
from infra.plan.search import Choice
from infra.plan.setup import Setup
from tests.infra.plan.support import PRICES, TIMES, report

MACHINE = Machine(2, Work(0.004, 2e-5, 5e-4), Work(0.01, 2e-4, 1.2e-3), 0.8, 0.6, 0.002, "made up for a test")
LOCAL = Setup(1, 4, 50, 1, 1769, read_on_put=True, put_s=0.004, read_s=0.001, invoke_s=0.001)
AMOUNTS = st.lists(st.tuples(st.floats(0, 0.2), st.integers(1, 500), st.integers(1, 500)), min_size=1, max_size=40)


@pytest.fixture(autouse=True, scope="module")
def short_runs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extent, "EVENTS_MAX", 3_000)
        yield


@given(AMOUNTS, st.integers(1, 8), st.sampled_from([1.0, 0.25]))
def test_batches_get_no_more_cpu_than_there_is(batches: list[tuple[float, int, int]], cores: int, share: float) -> None:
    """What all need together fits into the time until the last one is done, with one core for the stack."""
    machine = replace(MACHINE, cores=cores)
    shared, now_s, used = Shared(machine, share), 0.0, (0.0, 0.0)
    for later_s, events, writes in batches:
        now_s += later_s
        done_s = now_s + shared.wait_s(events, writes, now_s, 0.0)
        stack, every = machine.busy(1, events, writes)
        used = used[0] + stack, used[1] + every
        assert used[0] <= done_s * share * 0.8 + 1e-9
        assert used[1] <= done_s * share * cores + 1e-9


def test_a_batch_that_finds_nobody_waits_for_nothing() -> None:
    shared = Shared(MACHINE)
    assert shared.wait_s(100, 100, 1.0, 0.2) == 0.0
    assert shared.wait_s(100, 100, 1.0, 0.2) > 0.0
    assert shared.wait_s(100, 100, 10.0, 0.2) == 0.0
    assert shared.wait_s(100, 100, 20.0, 0.0) == pytest.approx(MACHINE.every.seconds(1, 100, 100) / 2)


@pytest.mark.parametrize("batch_size", [5, 50, 200])
def test_lanes_cannot_sustain_more_than_the_cores_give(batch_size: int) -> None:
    """With small batches too: their own CPU counts."""
    wish = Wish(400, keys=20_000, skew=0, aggregate=1)
    free = replace(LOCAL, batch_size=batch_size)
    rate, events = sustained(wish, replace(free, machine=MACHINE), TIMES, None)
    unbound, _ = sustained(wish, free, TIMES, None)
    per_event = max(
        MACHINE.stack.seconds(1 / batch_size, 1, 1) / 0.8, MACHINE.every.seconds(1 / batch_size, 1, 1) / MACHINE.cores
    )
    assert events > 0
    assert rate < unbound
    assert rate == pytest.approx(1 / per_event, rel=0.15)


def test_a_load_that_leaves_the_cpu_alone_is_as_quick_as_without_a_machine() -> None:
    wish = Wish(50, keys=100, skew=0, aggregate=1)
    assert expect(wish, replace(LOCAL, machine=MACHINE), TIMES).p50_s == pytest.approx(
        expect(wish, LOCAL, TIMES).p50_s, rel=0.05
    )


def test_what_begins_a_drain_counts_in_its_rate() -> None:
    (run,) = runs(report(profile="backlog"), "one")
    there = check.compare(run, TIMES)[0].predicted
    begun = check.compare(replace(run, setup=on_machine(run.setup, MACHINE)), TIMES)[0].predicted
    assert begun < there
    assert 400 / begun > 400 / there + 0.6


def test_a_plan_for_aws_has_no_machine() -> None:
    assert on_machine(LOCAL, None) == LOCAL
    assert on_machine(LOCAL, MACHINE).invoke_s == MACHINE.gap_s


def test_a_machine_is_the_same_after_its_file() -> None:
    assert from_plain(to_plain(MACHINE), 2) == MACHINE


def test_a_local_plan_names_the_machine_and_one_for_aws_does_not() -> None:
    wish = Wish(200, keys=500, skew=0)
    found = []
    for setup in (replace(LOCAL, machine=MACHINE), replace(LOCAL, machine=None)):
        placed = spread(wish, setup.shards, setup.factor, setup.outer_lanes)
        choice = Choice(setup, expect(wish, setup, TIMES), placed, True, ())
        quotas = quotas_of(wish, choice, Basis(times=TIMES, prices=PRICES, held_out={}))
        found.append({quota.name: quota for quota in quotas if quota.unit == "CPU"})
    local, aws = found
    assert not aws
    assert local["this machine's cores"].allowed == MACHINE.cores
    assert 0 < local["the local stack's process"].used < local["this machine's cores"].used


@pytest.mark.parametrize("rate", [20, 200, 700])
def test_what_the_machine_gives_is_used_up_where_its_use_says(rate: float) -> None:
    """Above the wished rate if less than all of it is used, below if it is more, at no more than with full batches."""
    wish, setup = Wish(rate, keys=500, skew=0, aggregate=1), replace(LOCAL, machine=MACHINE)
    placed = spread(wish, setup.shards, setup.factor, setup.outer_lanes)
    choice = Choice(setup, expect(wish, setup, TIMES), placed, True, ())
    quotas = quotas_of(wish, choice, Basis(times=TIMES, prices=PRICES, held_out={}))
    found = [quota for quota in quotas if quota.unit == "CPU"]
    assert len(found) == 2
    for quota in found:
        at = quota.at_rate(rate)
        assert at is not None
        assert (at > rate) == (quota.utilisation < 1.0)
    full = min(
        1 / (MACHINE.stack.seconds(1 / 50, 1, 0) / MACHINE.stack_share),
        1 / (MACHINE.every.seconds(1 / 50, 1, 0) / MACHINE.cores),
    )
    assert min(quota.at_rate(rate) or 0.0 for quota in found) <= full
