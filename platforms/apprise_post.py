"""Posts through Apprise: mail, Slack, Teams, webhooks and some hundred more, by URL.

Only what this file asks for happens: no redirects are followed, no plugin, template, attachment or configuration is loaded,
nothing is kept on disk, no picture is linked, and a try is one try. Apprise logs whole URLs and urllib3 paths, which are secrets
at most services: the one speaks to nobody, the other of errors only.
"""

import logging
import re
from typing import Any, Final

import apprise
from apprise.common import NotifyFormat, OverflowMode, PersistentStoreMode

from platforms.errors import Invalid, Unavailable
from platforms.message import Message

SECONDS: Final = 10.0
"""For a whole message; each connect and read has 4 s of its own."""
_MARKDOWN: Final = frozenset(
    {"discord", "mmost", "mmosts", "rocket", "rockets", "workflow", "workflows", "msteams", "zulip", "webexteams", "wxteams"}
    | {"gchat", "matrix", "matrixs", "guilded", "revolt"}
)
"""Services that read plain text as markdown anyway: they get ours, in which all outside text is escaped."""
_STATUS: Final = re.compile(r"\berror=(\d{3})\b")
_REFUSED: Final = frozenset({400, 405, 406, 413, 415, 422})
"""The message itself is refused. A wrong secret or a missing hook (401, 403, 404) may be mended while we try."""
_KNOCKED: Final = "the other side did not answer, or refused the connection"


class ApprisePost:
    def __init__(self) -> None:
        logger = logging.getLogger("apprise")
        logger.propagate = False
        logger.handlers = [logging.NullHandler()]
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        self._asset = apprise.AppriseAsset(
            app_id="homeostat",
            app_desc="homeostat",
            app_url="",
            image_url_mask="",
            image_url_logo="",
            plugin_paths=[],
            storage_mode=PersistentStoreMode.MEMORY,
            secure_logging=True,
            allow_templates=False,
            http_redirects=False,
            interpret_escapes=False,
            async_mode=False,
            default_service_retry=0,
            service_timeout=SECONDS,
        )
        apprise.Apprise.instantiate("json://localhost", asset=self._asset)  # loads all services, before threads ask for them

    def __call__(self, address: str, message: Message) -> None:
        """Raises: Invalid, Unavailable."""
        service = self._service(address)
        marked = not _MARKDOWN.isdisjoint(service.schemas())
        sender = apprise.Apprise(asset=self._asset)
        sender.add(service)
        result = sender.notify(
            body=message.markdown if marked else message.text,
            title=message.title,
            body_format=NotifyFormat.MARKDOWN if marked else NotifyFormat.TEXT,
            notify_type=_type(message),
            interpret_escapes=False,
            timeout=SECONDS,
        )
        if not result:
            raise _failure(result)

    def _service(self, address: str) -> Any:  # noqa: ANN401 - Apprise gives its plugins no common type
        try:
            service = apprise.Apprise.instantiate(address, asset=self._asset, suppress_exceptions=True)
        except (TypeError, ValueError, AttributeError):
            service = None
        if service is None:
            raise Invalid(
                "Apprise doesn't take this address: look up how its service is written, and check the variables' values"
            )
        service.overflow_mode = OverflowMode.SPLIT
        service.retry = 0
        return service


def _type(message: Message) -> apprise.NotifyType:
    page = message.attributes.get("kind") == "page"
    return apprise.NotifyType.FAILURE if page else apprise.NotifyType.INFO


def _failure(result: Any) -> Exception:  # noqa: ANN401 - as above
    """By the status that the service's own warning names; nothing else of what it said is passed on."""
    said = " ".join(entry.message for entry in result.logs())
    if result.status is apprise.AppriseResultStatus.TIMEOUT:
        return Unavailable(f"no answer within {SECONDS:g} s")
    status = next((int(found[1]) for found in _STATUS.finditer(said)), None)
    if status is None:
        return Unavailable(_KNOCKED)
    if status in _REFUSED:
        return Invalid(f"the message was refused, HTTP {status}")
    return Unavailable(f"HTTP {status}")
