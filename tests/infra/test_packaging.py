"""The function's package: the same pins as everywhere, everything it imports, built the same way twice."""

import ast
import hashlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra.blueprint import Blueprint
from infra.packaging import DEPLOYED, FROM_RUNTIME, deployed, parents, pins

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
REQUIREMENTS = (ROOT / "processor" / "requirements.txt").read_text(encoding="utf-8")

# Distribution -> the modules that it brings.
MODULES = {
    "aws-kinesis-agg": {"aws_kinesis_agg"},
    "aws-lambda-powertools": {"aws_lambda_powertools"},
    "protobuf": {"google"},
    "six": {"six"},
}
RUNTIME_MODULES = {"boto3", "botocore"}


def test_the_function_has_the_pins_and_hashes_of_the_lock() -> None:
    locked = pins(LOCK)
    for name, block in pins(REQUIREMENTS).items():
        assert block == locked[name]
        assert re.match(rf"{re.escape(name)}==[0-9][^ ]* \\\n( +--hash=sha256:[0-9a-f]{{64}}( \\\n|$))+$", block)


def test_the_requirements_file_is_what_the_lock_gives_today() -> None:
    assert deployed(LOCK) == REQUIREMENTS, "run: python -m infra.packaging"


def test_nothing_that_a_deployed_package_needs_is_missing() -> None:
    names = set(pins(REQUIREMENTS))
    for name, above in parents(LOCK).items():
        if above & names:
            assert name in names | FROM_RUNTIME
    assert set(DEPLOYED) <= names


def test_what_is_deployed_is_a_direct_dependency_of_the_project() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for name in DEPLOYED:
        assert re.search(rf'^    "{re.escape(name)}[=>]', project, re.MULTILINE), name


def test_every_import_of_the_function_is_deployed_or_in_the_runtime() -> None:
    imported = {
        name.split(".")[0]
        for path in (ROOT / "processor").rglob("*.py")
        for name in imports(ast.parse(path.read_text(encoding="utf-8")))
    }
    known = {module for name in DEPLOYED for module in MODULES[name]} | RUNTIME_MODULES | {"processor"}
    assert imported - set(sys.stdlib_module_names) <= known


def test_the_handler_is_a_function_in_the_folder_that_is_packaged(blueprint: Blueprint) -> None:
    (function,) = blueprint.functions
    folder = (ROOT / "infra" / function.code_uri).resolve()
    module, _, name = function.handler.rpartition(".")
    path = folder.parent / f"{module.replace('.', '/')}.py"
    assert path.is_relative_to(folder)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    # What the Makefile installs is for the runtime that the template names.
    makefile = (folder / "Makefile").read_text(encoding="utf-8")
    assert f"PYTHON_VERSION := {function.runtime.removeprefix('python')}\n" in makefile
    assert f"ARCHITECTURE ?= {function.architecture}\n" in makefile


def imports(node: ast.AST) -> list[str]:
    """Modules imported anywhere below, except for type checkers."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return []
    found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    if isinstance(node, ast.ImportFrom):
        found.append(str(node.module))
    return found + [name for child in ast.iter_child_nodes(node) for name in imports(child)]


def test_a_root_that_the_lock_does_not_have_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"not in the lock: left-pad; add them to pyproject\.toml"):
        deployed(LOCK, ["six", "left-pad"])


def test_the_closure_follows_what_packages_need_but_leaves_out_the_runtimes() -> None:
    lock = """\
a==1 \\
    --hash=sha256:aa
    # via project
b==2 \\
    --hash=sha256:bb
    # via
    #   a
    #   other
c==3 \\
    --hash=sha256:cc
    # via b
other==4 \\
    --hash=sha256:dd
    # via project
"""
    assert list(pins(deployed(lock, ["a"], frozenset()))) == ["a", "b", "c"]
    assert list(pins(deployed(lock, ["a"], frozenset({"b"})))) == ["a"]


def test_no_lock_names_a_registry() -> None:
    for name in ("requirements.lock", "infra/sam.lock", "processor/requirements.txt"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text, name
        assert "--index-url" not in text, name
        assert "--find-links" not in text, name


def build(target: Path, architecture: str, **settings: str) -> None:
    """What `sam build` runs, without SAM."""
    subprocess.run(
        ["make", "--silent", "build-StreamFunction", *(f"{key}={value}" for key, value in settings.items())],
        cwd=ROOT / "processor",
        env={**os.environ, "ARTIFACTS_DIR": str(target), "ARCHITECTURE": architecture, "PYTHON": sys.executable},
        check=True,
        timeout=300,
    )


def digests(folder: Path) -> Mapping[str, tuple[str, float]]:
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def runtime(tmp_path: Path) -> Path:
    """A folder with what Lambda's runtime brings (boto3 and what it needs) and nothing else of this environment."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    for name in ("boto3", "botocore", "s3transfer", "dateutil", "urllib3"):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        (folder / name).symlink_to(Path(spec.origin).parent)
    return folder


def handler_of(package: Path, tmp_path: Path, blueprint: Blueprint) -> str:
    """Resolve the template's Handler as Lambda does, in a process that sees the package and the runtime only."""
    module, _, name = blueprint.functions[0].handler.rpartition(".")
    program = (
        f"import sys; sys.path[:0] = [{str(package)!r}, {str(runtime(tmp_path))!r}]\n"
        f"import importlib; found = importlib.import_module({module!r})\n"
        f"print(found.__file__, callable(getattr(found, {name!r})))"
    )
    environment = {**blueprint.functions[0].environment, "AWS_DEFAULT_REGION": blueprint.region, "PATH": os.defpath}
    # -I and -S: no site-packages, no working folder on the path; -B: leave the package as it was built.
    command = [sys.executable, "-I", "-S", "-B", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_the_package_imports_under_the_templates_handler(tmp_path: Path, blueprint: Blueprint) -> None:
    host = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
    package = tmp_path / "package"
    build(package, host)
    assert handler_of(package, tmp_path, blueprint) == f"{package}/processor/stream.py True"
    assert not (package / "bin").exists()
    assert not list(package.rglob("__pycache__"))


@pytest.mark.slow
def test_two_builds_are_the_same_byte_for_byte_and_for_arm64(tmp_path: Path) -> None:
    build(tmp_path / "one", "arm64")
    build(tmp_path / "two", "arm64")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    (extension,) = (tmp_path / "one").rglob("*.so")
    assert extension.read_bytes()[18:20] == b"\xb7\x00"  # e_machine of an ELF file: 183, AArch64


@pytest.mark.slow
def test_an_architecture_that_lambda_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        build(tmp_path / "package", "riscv64")
    assert not (tmp_path / "package").exists()


@pytest.mark.slow
def test_bytecode_of_another_python_is_refused(tmp_path: Path) -> None:
    if sys.version_info[:2] == (3, 13):
        pytest.skip("this interpreter is the runtime's")
    with pytest.raises(subprocess.CalledProcessError):
        build(tmp_path / "package", "arm64", COMPILE_WITH=sys.executable)
    assert not (tmp_path / "package").exists()


@pytest.mark.slow
def test_sam_builds_and_validates_the_template(tmp_path: Path, blueprint: Blueprint) -> None:
    host = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
    arguments = [f"PYTHON={sys.executable}", f"BUILD_DIR={tmp_path}/build", f"ARCHITECTURE={host}"]
    for target in ("validate", "package"):
        done = subprocess.run(
            ["make", "--file=infra/package.mk", target, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "build" / "template.yaml").exists()
    package = tmp_path / "build" / "StreamFunction"
    assert handler_of(package, tmp_path, blueprint) == f"{package}/processor/stream.py True"
