"""An account for each place of a test: opened again, it is the same account, as for a second process."""

import os
from hashlib import sha256
from pathlib import Path
from threading import Lock

from platforms.aws.calls import Aws
from tests.aws.fixtures import new_account

_MADE: dict[tuple[str, str], Aws] = {}
_MAKING = Lock()


def account_at(place: Path) -> Aws:
    """In the simulator that the environment points to; bucket and prefix come from the place."""
    found = os.environ["AWS_ENDPOINT_URL"], str(place)
    with _MAKING:
        if found not in _MADE:
            mark = sha256(str(place).encode()).hexdigest()[:12]
            named = {"bucket": f"bucket-{mark}", "prefix": f"t-{mark}", "feature_group_prefix": f"t-{mark}-"}
            _MADE[found] = new_account(**named)
        return _MADE[found]
