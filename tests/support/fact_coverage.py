"""Which facts of docs/aws-behaviour.md are shown by a test, which are declared in docs/fidelity.md, which are missing.

A test shows a fact if its docstring (or that of the class or file it stands in) says `fact 4.7` or `facts 4.7, 4.19`.
`python -m tests.support.fact_coverage` prints the counts and exits 1 if a documented or observed fact is missing.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| (\d+\.\d+) \| ([DOI]+) \| (.+) \|$", re.MULTILINE)
_MENTION = re.compile(r"\bfacts?\s+(\d+\.\d+(?:(?:,\s*|\s+and\s+)\d+\.\d+)*)", re.IGNORECASE)
_NUMBER = re.compile(r"\d+\.\d+")


@dataclass(frozen=True)
class Fact:
    number: str
    marks: str  # of D documented, O observed, I inferred
    what: str

    @property
    def needed(self) -> bool:
        return self.marks != "I"


@dataclass(frozen=True)
class Coverage:
    """`tests` are the tests per fact; `unknown` are numbers that tests or the page name and no fact has."""

    facts: Sequence[Fact]
    tests: Mapping[str, Sequence[str]]
    declared: frozenset[str]

    @property
    def missing(self) -> list[Fact]:
        return [fact for fact in self.facts if fact.needed and fact.number not in self.tests.keys() | self.declared]

    @property
    def unknown(self) -> list[str]:
        return sorted((self.tests.keys() | self.declared) - {fact.number for fact in self.facts})


def mentioned(text: str | None) -> list[str]:
    """The numbers after the word fact or facts."""
    return [number for found in _MENTION.findall(text or "") for number in _NUMBER.findall(found)]


def coverage(root: Path = ROOT) -> Coverage:
    rows = _ROW.findall((root / "docs/aws-behaviour.md").read_text())
    tests: dict[str, list[str]] = defaultdict(list)
    for path in sorted((root / "tests").rglob("test_*.py")):
        for name, number in _shown(ast.parse(path.read_text())):
            tests[number].append(f"{path.relative_to(root)}::{name}")
    declared = frozenset(mentioned((root / "docs/fidelity.md").read_text()))
    return Coverage([Fact(*row) for row in rows], tests, declared)


def _shown(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Every test and the facts that it shows: those of its file and its class, and its own."""
    whole = mentioned(ast.get_docstring(tree))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            inner = whole + mentioned(ast.get_docstring(node))
            for method in node.body:
                yield from _of_function(method, inner)
        else:
            yield from _of_function(node, whole)


def _of_function(node: ast.stmt, outer: Sequence[str]) -> Iterator[tuple[str, str]]:
    rules = {"rule", "invariant"}  # of a hypothesis state machine
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    decorators = {name.id for each in node.decorator_list for name in ast.walk(each) if isinstance(name, ast.Name)}
    if node.name.startswith("test_") or decorators & rules:
        for number in [*outer, *mentioned(ast.get_docstring(node))]:
            yield node.name, number


def main() -> int:
    found = coverage()
    tested = [fact for fact in found.facts if fact.number in found.tests]
    declared = [fact for fact in found.facts if fact.number in found.declared and fact.number not in found.tests]
    inferred = [fact for fact in found.facts if fact not in tested and fact not in declared and not fact.needed]
    print(f"facts {len(found.facts)}: tested {len(tested)}, declared {len(declared)}, missing {len(found.missing)}")
    print("declared in docs/fidelity.md: " + (", ".join(fact.number for fact in declared) or "none"))
    print("inferred, without a test:     " + (", ".join(fact.number for fact in inferred) or "none"))
    for fact in found.missing:
        print(f"missing: {fact.number} [{fact.marks}] {fact.what}")
    for number in found.unknown:
        print(f"unknown: {number} is named by {', '.join(found.tests.get(number, ['docs/fidelity.md']))}")
    return 1 if found.missing or found.unknown else 0


if __name__ == "__main__":
    sys.exit(main())
