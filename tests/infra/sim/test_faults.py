"""Faults by name: what is read is what is written, and what is no fault is refused with the names that there are."""

import pytest

from infra.sim.faults import NONE, Faults, describe, parse


def test_all_are_the_defaults_and_none_is_nothing() -> None:
    assert parse("all") == Faults()
    assert parse("none") == NONE
    assert not any(probability for _, probability in NONE)
    assert all(0 < probability < 1 for _, probability in Faults())


def test_what_is_not_named_does_not_happen() -> None:
    assert parse("throttle=0.5, reshard=1").throttle == 0.5
    assert dict(parse("throttle=0.5")) == {**dict(NONE), "throttle": 0.5}


def test_a_name_alone_has_its_default_and_all_can_be_changed() -> None:
    assert parse("timeout").timeout == Faults().timeout
    assert dict(parse("all,reshard=0")) == {**dict(Faults()), "reshard": 0.0}


@pytest.mark.parametrize("text", ["all", "none", "throttle=0.5,reshard=1", "all,timeout=0.25", "malformed"])
def test_the_text_of_faults_is_read_back_as_the_same(text: str) -> None:
    assert parse(str(parse(text))) == parse(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("earthquake=0.1", "'earthquake' is no fault; there are: all, none, crash_before_commit"),
        ("throttle=often", "throttle=often: a probability"),
        ("throttle=1.5", "throttle=1.5: a probability"),
        ("throttle=-0.1", "a probability"),
        ("throttle=nan", "a probability"),
        ("throttle,all", "'all' is no fault"),
        ("", "'' is no fault"),
    ],
)
def test_what_is_no_fault_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse(text)


def test_every_fault_is_described() -> None:
    assert [line.split()[0] for line in describe().splitlines()] == [name for name, _ in Faults()]
