"""What is said before a load: what its account will not be able to show, and how long it takes."""

import pytest

from loadgen.offer.items import Item
from loadgen.offer.truth import More, Truth
from loadgen.outcome.foreseen import clock, foresee, how_long
from processor.core.errors import Reason

COUNTED = Truth(0, "t#a", "w", "id-0", {})
LATEST = More((), (Item("latest#a", "-", b"", 7),))
RECORD = More((), (Item("record#a", "-", b""),))


def test_what_every_table_will_show_needs_no_words_beyond_whose_rules_are_meant() -> None:
    said = foresee("shop.rules", [COUNTED, COUNTED._replace(more=LATEST), COUNTED._replace(pk="", more=RECORD)])
    assert len(said.sentences) == 1
    assert "shop.rules" in said.sentences[0]
    assert said.keys == {"t#a", "latest#a", "record#a"}


@pytest.mark.parametrize(
    ("truth", "named"),
    [
        (COUNTED._replace(pk=""), "1 of the first 3 events change nothing"),
        (COUNTED._replace(pk="", more=LATEST), "1 of the first 3 events only write latest values"),
        (COUNTED._replace(pk="", reason=Reason.RULES_REFUSED), "1 of the first 3 events are refused"),
        (COUNTED._replace(pk="", reason=Reason.RULES_ERROR), "1 of the first 3 events raise an error"),
    ],
)
def test_what_no_table_will_show_is_said_before_the_load(truth: Truth, named: str) -> None:
    _, sentence = foresee("shop.rules", [COUNTED, truth, COUNTED]).sentences
    assert sentence.startswith(named)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 min 00 s"), (61.2, "1 min 01 s"), (86_399, "23 h 59 min 59 s"), (9e6, "2,500 h 00 min 00 s")],
)
def test_a_duration_is_told_in_hours_minutes_and_seconds(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_end_of_a_recording_of_millennia_is_not_told() -> None:
    assert "until" not in how_long("log", 3e11, 1, 1.7e9)
    assert "until about 2023-11-14 22:14:20 UTC" in how_long("log", 60, 1, 1.7e9)
