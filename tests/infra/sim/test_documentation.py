"""docs/simulation.md names every fault with its default, every mutation, and every checker that can speak."""

import re
from dataclasses import fields
from pathlib import Path

from infra.sim.faults import Faults
from infra.sim.mutations import MUTATIONS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")


def test_the_table_of_faults_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| ([\w ]+) \| (.*) \|$", PAGE, re.MULTILINE)
    assert rows == [
        (each.name, f"{each.default:g}", each.metadata["per"], each.metadata["meaning"]) for each in fields(Faults)
    ]


def test_every_mutation_is_in_the_table() -> None:
    section = PAGE.partition("## Do the checkers see anything?")[2].partition("\n## ")[0]
    names = re.findall(r"^\| ([^|]+) \| \d+ \| ", section, re.MULTILINE)
    assert names == list(MUTATIONS)


def test_every_checker_is_described() -> None:
    section = PAGE.partition("## Checkers")[2].partition("\n## ")[0]
    named = {
        name.strip() for row in re.findall(r"^\| ([^|]+) \| ", section, re.MULTILINE) for name in re.split("[,;]", row)
    }
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "infra" / "sim").glob("*.py")]
    speaking = {name for source in sources for name in re.findall(r'Violation\(\s*"([^"]+)"', source)}
    speaking |= {name for source in sources for name in re.findall(r'_CHECKER = "([^"]+)"', source)}
    assert {part.strip() for name in speaking for part in name.split(",")} <= named
