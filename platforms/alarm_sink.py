"""The loop's own alarms take the way of every other: over HTTP to the bridge."""

from contracts.alarm import Alarm
from platforms.alarm_post import AlarmPost


class BridgeAlarms:
    """Posts to the bridge; safe to share between threads."""

    def __init__(self, bridge_url: str, token: str | None) -> None:
        self._url = bridge_url
        self._token = token

    def send(self, alarm: Alarm) -> bool:
        """Whether the bridge took it. Raises: Unavailable."""
        with AlarmPost(self._url, self._token) as post:
            return post.send(alarm)
