"""How the monitor hands an alarm to the bridge."""

from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx
import structlog

from contracts.alarm import Alarm
from platforms.errors import Unavailable

_SECONDS = 10.0
_REFUSED_FROM = 400
_FAILED_FROM = 500
_COME_BACK = frozenset({401, 403, 408, 425, 429})
"""Refusals that say nothing about the alarm: a wrong token, a busy bridge."""
_log = structlog.get_logger()


class AlarmPost:
    """Posts alarms as our own JSON to `<bridge>/alarms`."""

    def __init__(self, bridge_url: str, token: str | None) -> None:
        self._url = f"{bridge_url.rstrip('/')}/alarms"
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(timeout=_SECONDS, headers=headers, trust_env=not _loopback(self._url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def send(self, alarm: Alarm) -> bool:
        """Whether the bridge took the alarm; False when it refused it for good.

        Raises:
            Unavailable: the bridge can't be reached, fails, or wants it again later.
        """
        try:
            answer = self._client.post(self._url, content=alarm.model_dump_json(), headers={"content-type": "application/json"})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"the bridge at {self._url} can't be reached: {error}. Start `python -m bridge`") from error
        if answer.status_code in _COME_BACK or answer.status_code >= _FAILED_FROM:
            raise Unavailable(f"the bridge at {self._url} answered {answer.status_code}: {answer.text[:200]}")
        if answer.status_code >= _REFUSED_FROM:
            _log.error(
                "alarm_refused", alarm=alarm.id, endpoint=alarm.endpoint, status=answer.status_code, answer=answer.text[:500]
            )
            return False
        _log.info("alarm_raised", alarm=alarm.id, endpoint=alarm.endpoint, severity=alarm.severity.value)
        return True


def _loopback(url: str) -> bool:
    """On this machine no proxy stands in between, whatever the environment says."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
