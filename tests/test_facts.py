"""Every documented or observed fact about AWS is shown by a test or declared as not reproduced."""

from pathlib import Path

from tests.support.fact_coverage import coverage

FACTS = """\
| fact | mark | what |
| 1.1 | D | shown by a test |
| 1.2 | O | shown by a test's class |
| 1.3 | DO | declared |
| 1.4 | D | neither |
| 1.5 | I | a choice of ours |
"""
TESTS = '''
def test_one() -> None:
    """Fact 1.1."""

class TestTwo:
    """Facts 1.2, 7.7: the second is unknown."""
    def test_method(self) -> None: ...

def helper() -> None:
    """Fact 1.4, but this is no test."""
'''


def test_no_fact_is_missing_and_no_test_names_one_that_is_not_there() -> None:
    found = coverage()
    assert len(found.facts) > 150
    assert [fact.number for fact in found.missing] == []
    assert found.unknown == []


def test_only_tests_show_facts_and_only_inferred_ones_may_be_without(tmp_path: Path) -> None:
    for name, text in {
        "docs/aws-behaviour.md": FACTS,
        "docs/fidelity.md": "a table (fact 1.3)",
        "tests/test_it.py": TESTS,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = coverage(tmp_path)
    assert [fact.number for fact in found.missing] == ["1.4"]
    assert found.unknown == ["7.7"]
    assert found.tests["1.2"] == ["tests/test_it.py::test_method"]
