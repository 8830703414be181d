"""Starting the product's processes from tests."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def function_names() -> list[str]:
    """Folders below `functions/` that hold a function."""
    return sorted(path.parent.name for path in ROOT.glob("functions/*/main.py"))


def minimal_environment() -> dict[str, str]:
    """The environment a container would have, without this shell's settings."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def is_http(function: str) -> bool:
    """Tell whether a function serves HTTP routes (and may load FastAPI) or events only."""
    return "invoke: http" in (ROOT / "functions" / function / "func.yaml").read_text().splitlines()
