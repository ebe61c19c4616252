"""The two rules of the house, over imports: pure rooms stay pure, and arrows point one way (docs/architecture.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Pure code takes `now` as an argument: nothing that asks for time, chance, environment or I/O.
IMPURE = {
    "asyncio", "boto3", "botocore", "http", "logging", "multiprocessing", "os", "pathlib", "random", "secrets",
    "select", "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time", "urllib", "uuid",
    "aws_lambda_powertools", "awslambdaric", "hypercorn", "ministack", "rich",
}  # fmt: skip
PURE = [
    "processor/core", "processor/rules.py", "infra/blueprint", "infra/intrinsics.py", "infra/model",
    "loadgen/offer", "loadgen/outcome", "loadgen/target", "loadgen/showing", "loadgen/sweep",
    *(f"infra/plan/{name}.py" for name in (
        "__init__", "allowances", "assumptions", "backlog", "basis", "batches", "candidates", "check", "costs", "document",
        "expect", "extent", "function", "levers", "load", "machine", "measured", "packing", "prices", "quotas", "reasons",
        "search", "service", "setup", "show", "slice", "steady",
    )),
]  # fmt: skip

# room -> the rooms of ours that it may import (longest prefix wins).
ARROWS = {
    "processor.core": ["processor.core"],
    "processor": ["processor"],
    "processor.rules": ["processor.core"],
    "infra.model": ["infra.model"],
    "infra.blueprint": ["infra.blueprint", "infra.intrinsics"],
    "infra.intrinsics": [],
    "infra.local": ["infra.local", "infra.model", "infra.blueprint"],
    "infra.sim": ["infra.sim", "infra.model", "infra.blueprint", "processor.core"],
    "infra.plan": ["infra.plan", "infra.model", "infra.ops.errors", "processor.core"],
    "infra.ops": ["infra.ops", "processor.core", "processor.adapters.publisher"],
    "infra": [],
    "infra.cli": ["infra"],
    "loadgen.offer": ["loadgen.offer", "processor.core", "processor.rules"],
    "loadgen.outcome": ["loadgen.outcome", "loadgen.offer", "processor.core"],
    "loadgen.target": ["loadgen.target", "loadgen.outcome", "processor.core", "infra.plan.costs", "infra.plan.prices"],
    "loadgen.showing": ["loadgen.showing", "loadgen.target", "loadgen.outcome", "processor.core"],
    "loadgen.sweep": ["loadgen.sweep", "loadgen.showing", "loadgen.target", "loadgen.outcome", "loadgen.offer"],
    "loadgen": [
        "loadgen",
        "processor.adapters.publisher",
        "processor.adapters.put_records",
        "processor.core",
        "processor.rules",
        "infra.ops.outputs",
        "infra.ops.errors",
        "infra.plan.costs",
        "infra.plan.prices",
    ],
}


# Deterministic parts of modules that are otherwise impure: a generator seeded by its caller, names made from names.
DETERMINISTIC = {"random.Random", "uuid.UUID", "uuid.uuid5", "uuid.NAMESPACE_URL", "urllib.parse"}


def modules(*places: str) -> list[Path]:
    found: list[Path] = []
    for place in places:
        path = ROOT / place
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.exists() else []
    return found


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Every `module.name` imported anywhere in the file; imports for type checkers only do not count."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def allowed(name: str) -> list[str]:
    room = max((room for room in ARROWS if name == room or name.startswith(room + ".")), key=len)
    return ARROWS[room]


@pytest.mark.parametrize("path", modules(*PURE), ids=name_of)
def test_a_pure_room_asks_for_no_clock_chance_environment_or_io(path: Path) -> None:
    impure = {name for name in imports(path) if name.split(".")[0] in IMPURE}
    assert not {name for name in impure if not any(name == ok or name.startswith(ok + ".") for ok in DETERMINISTIC)}


@pytest.mark.parametrize("path", modules("processor", "infra", "loadgen"), ids=name_of)
def test_arrows_between_rooms_point_one_way(path: Path) -> None:
    ours = {name for name in imports(path) if name.split(".")[0] in {"processor", "infra", "loadgen"}}
    may = allowed(name_of(path))
    assert not {name for name in ours if not any(name == room or name.startswith(room + ".") for room in may)}


@pytest.mark.parametrize(
    "path", [p for p in modules("processor", "infra", "loadgen") if p.name == "__init__.py"], ids=name_of
)
def test_every_package_says_what_it_is(path: Path) -> None:
    if path.parent.name in {"core", "model", "adapters", "local", "ops", "plan", "sim"} or "loadgen" in str(
        path.parent.parent.name
    ):
        assert (ast.get_docstring(ast.parse(path.read_text())) or "").startswith(("PURE:", "SHELL:", "DRIVER:"))
