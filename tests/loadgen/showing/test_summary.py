"""What a load's end says on a terminal: every line fits its width, no word is cut, nothing is left out."""

import shlex

from hypothesis import given
from hypothesis import strategies as st

from loadgen import demo
from loadgen.showing import comparison
from loadgen.showing.summary import lines, wrapped
from tests.loadgen.showing.test_limits_shown import made, observed

WORDS = st.lists(
    st.text(st.characters(codec="ascii", exclude_categories=("C", "Z")), min_size=1, max_size=9), min_size=1
)


@given(WORDS, st.integers(20, 200))
def test_sentences_are_broken_between_words_at_the_terminals_width(words: list[str], width: int) -> None:
    rows = wrapped(" ".join(words), width).split("\n")
    assert all(len(row) <= width for row in rows)
    assert " ".join(rows).split() == words


def test_without_a_terminal_a_sentence_is_one_line() -> None:
    said = "\n".join(lines(made(observed())))
    (line,) = [line for line in said.splitlines() if line.startswith("Limited by reserved concurrency")]
    assert len(line) > 80
    narrow = "\n".join(lines(made(observed()), 60)).splitlines()
    assert all(len(row) <= 60 for row in narrow if not row.startswith("  "))
    assert " ".join(narrow).split() == said.split()


def test_a_comparison_is_wrapped_alike() -> None:
    said = "\n".join(comparison.lines(("a", "b"), made(observed()), made(observed()), 60)).splitlines()
    assert all(len(row) <= 60 for row in said if not row.startswith("  "))


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1), st.integers(40, 120))
def test_the_demos_command_is_broken_between_its_words_and_can_be_pasted(words: list[str], width: int) -> None:
    shown = demo.shown("loadgen", words, width)
    assert shown.startswith("$ loadgen")
    assert shlex.split(shown.removeprefix("$ ").replace(" \\\n    ", " ")) == ["loadgen", *words]


def test_the_demos_command_keeps_within_the_width() -> None:
    shown = demo.shown("loadgen", ["run", "--endpoint-url", "http://127.0.0.1:12345", "--keys", "1000"] * 3, 60)
    assert all(len(row) <= 60 for row in shown.split("\n"))
