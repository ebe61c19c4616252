"""SHELL: task roots. A function must see its own folder under its own name and nothing else of the working tree."""

import shutil
from pathlib import Path

_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


def stage(code_folder: Path, into: Path) -> Path:
    """Copies `code_folder` to `into`/<its name> and returns `into`, the task root; what was in `into` is gone.

    The same layout as the build's zip: with CodeUri `../processor/` the task root holds `processor/` and nothing more.
    FileNotFoundError says which folder is missing; ValueError: one of the two lies in the other.
    """
    code_folder = code_folder.resolve()
    if not code_folder.is_dir():
        raise FileNotFoundError(f"the code folder {code_folder} does not exist; check CodeUri in the template")
    into = into.resolve()
    if into.is_relative_to(code_folder) or code_folder.is_relative_to(into):  # the latter would be deleted below
        raise ValueError(f"{into} and {code_folder} lie one inside the other; stage the code somewhere else")
    shutil.rmtree(into, ignore_errors=True)
    shutil.copytree(code_folder, into / code_folder.name, ignore=_LEFT_OUT)
    return into
