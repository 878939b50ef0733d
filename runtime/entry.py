"""How every entry point starts: settings read once, logs set up, and a clear sentence instead of a traceback."""

import sys
from collections.abc import Callable

from pydantic import ValidationError

from runtime.errors import Misconfigured, StartError
from runtime.settings import Settings
from runtime.telemetry import configure_logging


def read_settings() -> Settings:
    """Settings from the environment. Raises: Misconfigured, naming every variable that can't be right; values stay unsaid."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"HOMEOSTAT_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors(include_input=False)]
        raise Misconfigured("; ".join(wrong)) from None


def enter(run: Callable[[Settings], int]) -> int:
    """Run an entry point and return its exit code (runtime/errors.py lists them)."""
    try:
        settings = read_settings()
        configure_logging(settings)
        return run(settings)
    except StartError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
