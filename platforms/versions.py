"""Which libraries a model was made with: part of what it takes to make it again."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Final

_MATTER: Final = ("lightgbm", "numpy", "pyarrow", "duckdb")
"""Another version of one of these may give other bytes."""


def library_versions() -> dict[str, str]:
    """Versions by name, Python's own first; what isn't installed is left out."""
    found = {"python": platform.python_version()}
    for name in _MATTER:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
