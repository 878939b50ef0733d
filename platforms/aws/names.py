"""Names on AWS, made from idempotency keys: the same key asks for the same thing, so that a second try meets the first."""

import re
from hashlib import sha256
from typing import Final

from contracts.training import Tags

MOST: Final = 63
"""SageMaker's limit for jobs, models, configurations and endpoints; boto3 lets longer ones pass."""
_ALLOWED: Final = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")
TEMPORARY: Final = "homeostat:temporary"
_NOT_IN_TAGS: Final = re.compile(r"[^\w .:/=+@-]")
"""SageMaker refuses a tag with any other sign: docs.aws.amazon.com/sagemaker/latest/APIReference/API_Tag.html."""


def name_of(prefix: str, endpoint: str, what: str, key: str) -> str:
    """`<prefix>-<endpoint, cut>-<what>-<16 hex digits of the key>`, at most 63 characters."""
    mark = sha256(key.encode(errors="surrogatepass")).hexdigest()[:16]
    room = MOST - len(prefix) - len(what) - len(mark) - 3
    found = f"{prefix}-{endpoint[:room].strip('-')}-{what}-{mark}"
    assert _ALLOWED.fullmatch(found), found
    return found


def tags_of(tags: Tags, key: str, *, temporary: bool = True) -> dict[str, str]:
    """For chargeback, and for the sweeper: what carries TEMPORARY goes with its incident."""
    return {
        "homeostat:endpoint": tags.endpoint,
        "homeostat:incident": tags.incident,
        "homeostat:team": taggable(tags.team),
        "homeostat:cost-center": taggable(tags.cost_center),
        "homeostat:key": taggable(key),
        **({TEMPORARY: "yes"} if temporary else {}),
    }


def taggable(text: str) -> str:
    """As tags and properties of packages take it."""
    return _NOT_IN_TAGS.sub("_", text)[:256]
