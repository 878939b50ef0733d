"""What every bench of the gate prints: a table of figures, and on the last line one JSON object where it was asked for."""

import json
import os
import platform
from collections.abc import Mapping


def printed(bench: str, figures: Mapping[str, float], *, as_json: bool) -> None:
    """The table goes first, so that people can read it in either form."""
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}{value:>12.4g}")
    if as_json:
        machine = {"cpus": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}
        print(json.dumps({"bench": bench, "machine": machine, "figures": figures}))
