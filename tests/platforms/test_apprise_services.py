"""Each of the usual services is asked as it should be: its own escaping, no picture, no redirect, no call-outs."""

import json
from typing import Any

import pytest
import requests

from platforms.apprise_post import ApprisePost
from platforms.message import message
from tests.platforms.records_fixtures import notice

TEXT = "<!channel> @everyone <http://evil|click> [a](http://evil) *b* <script>"
SERVICES = {
    "slack": "slack://AAAAAAAAA/BBBBBBBBB/CCCCCCCCCCCCCCCCCCCCCCCC/#general",
    "discord": f"discord://123456789012345678901/{'a' * 64}",
    "slack by its own address": "https://hooks.slack.com/services/AAAAAAAAA/BBBBBBBBB/CCCCCCCCCCCCCCCCCCCCCCCC",
    "discord by its own address": f"https://discord.com/api/webhooks/123456789012345678901/{'a' * 64}",
    "teams": "workflows://host.example:443/WORKFLOW/SIGNATURE",
    "telegram": "tgram://123456789:abcdefg_hijklmnop/12315544/",
    "mattermost": "mmosts://host.example/aaaaaaaaaaaaaaaaaaaaaaaaaa",
    "hook": "jsons://host.example/hook",
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would have gone out; the other side says yes."""
    found: list[dict[str, Any]] = []

    def answer(self: requests.Session, method: str, url: str, **how: Any) -> requests.Response:
        found.append({"url": url, "body": how.get("data") or json.dumps(how.get("json")), **how})
        response = requests.Response()
        response.status_code = 200
        response._content = b"ok"
        return response

    monkeypatch.setattr(requests.Session, "request", answer)
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_outside_text_is_shown_and_not_obeyed(service: str, asked: list[dict[str, Any]]) -> None:
    ApprisePost()(SERVICES[service], message(notice(title=TEXT, sentence=TEXT), {}))
    (one,) = asked
    assert one["allow_redirects"] is False
    assert one["timeout"] == (4.0, 4.0)
    said = json.loads(one["body"])
    text = json.dumps(said, ensure_ascii=False)
    assert "@everyone" not in text
    assert "github" not in text
    if service.startswith("slack"):
        assert "<!channel>" not in text
        assert "<http" not in text
    if service.startswith(("discord", "mattermost")):
        assert r"\[a\](http:\//evil)" in said.get("content", said.get("text"))
    if service == "telegram":
        assert "<script>" not in text
