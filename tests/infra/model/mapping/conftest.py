"""Makes tests.support importable: pytest's importlib mode leaves sys.path alone."""

import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[4])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)
