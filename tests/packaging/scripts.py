"""Scripts as modules: those of one folder find each other, as they do when they are run."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

_FOLDER = Path(__file__).resolve().parents[2] / "packaging"


def load(folder: str, name: str) -> ModuleType:
    """The script `packaging/<folder>/<name>.py`."""
    path = str(_FOLDER / folder)
    sys.path.insert(0, path)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(path)
