"""SHELL (no I/O of its own): values that several of loadgen's commands take."""

import argparse
from pathlib import Path


def folder(text: str) -> Path:
    """A folder's name. An empty one (`--out "$UNSET"`) would be the current folder."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("the name of a folder is needed, and this one is empty or has a NUL in it")
    return Path(text)
