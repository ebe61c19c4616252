"""SHELL: `python -m infra.packaging` writes processor/requirements.txt out of requirements.lock.

The function's dependencies are the same pins and hashes as everywhere else: a part of the one lock, never resolved a
second time. docs/decisions/0002-what-is-in-the-zip.md says why each is deployed.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final

DEPLOYED: Final = ("aws-kinesis-agg", "aws-lambda-powertools", "protobuf", "six")
"""Direct dependencies of the function; what they need themselves follows from the lock."""

FROM_RUNTIME: Final = frozenset({"boto3", "botocore", "s3transfer", "python-dateutil", "urllib3"})
"""What Lambda's Python runtime brings along and the package therefore leaves out."""

_HEADER: Final = """\
# What is deployed beside the package `processor`: the part of requirements.lock that it needs.
# Written by `python -m infra.packaging`; do not edit. boto3 comes from Lambda's runtime.
"""
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    """Every requirement of a lock file by its name: pin, marker and hashes, without the comments."""
    return {name: "\n".join(line for line in block.splitlines() if not _comment(line)) for name, block in _blocks(lock)}


def parents(lock: str) -> dict[str, frozenset[str]]:
    """Which requirements each one of a lock file is there for (uv's comment `via`)."""
    found = {}
    for name, block in _blocks(lock):
        comments = " ".join(line.strip(" #") for line in block.splitlines() if _comment(line))
        found[name] = frozenset(comments.split()) - {"via"}
    return found


def deployed(lock: str, roots: Iterable[str] = DEPLOYED, left_out: frozenset[str] = FROM_RUNTIME) -> str:
    """The text of the function's requirements file: `roots` and all they need, but nothing of `left_out`.

    Raises ValueError when a root is not in the lock.
    """
    blocks, via = pins(lock), parents(lock)
    if missing := sorted(set(roots) - set(blocks)):
        raise ValueError(f"not in the lock: {', '.join(missing)}; add them to pyproject.toml and run make lock")
    names = _closure(set(roots), via, left_out)
    return _HEADER + "".join(f"{blocks[name]}\n" for name in sorted(names))


def _closure(names: set[str], via: Mapping[str, frozenset[str]], left_out: frozenset[str]) -> set[str]:
    while more := {name for name, above in via.items() if above & names} - names - left_out:
        names = names | more
    return names


def _blocks(lock: str) -> Iterator[tuple[str, str]]:
    starts = [(match.group(1), match.start()) for match in _PIN.finditer(lock)]
    for (name, start), (_, end) in pairwise([*starts, ("", len(lock))]):
        yield name, lock[start:end]


def _comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def main() -> int:
    """Write the file; the exit status."""
    root = Path(__file__).resolve().parent.parent
    text = deployed((root / "requirements.lock").read_text(encoding="utf-8"))
    (root / "processor" / "requirements.txt").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
