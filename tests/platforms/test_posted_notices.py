"""Channels for real: mail and web hooks on loopback, down, slow, hostile and killed, and no secret left anywhere."""

import email
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from email import policy as email_policy
from pathlib import Path

import pytest

from activities.channels import tell
from contracts.notices import Channel
from contracts.review import Notice
from platforms.apprise_post import ApprisePost
from platforms.channels import AT_ONCE, Channels
from platforms.errors import Exhausted, Invalid, Unavailable
from platforms.local.notifier import LocalNotifier
from platforms.message import Message
from tests.platforms.receivers import hook, mail_server, soon
from tests.platforms.records_fixtures import INCIDENT, UI_URL, notice, start_python

SECRET = "hunter2-Tr0ub4dor"
HOSTILE = (
    "<!channel> @everyone <http://evil|click> [a](http://evil) *b* <script>\r\nBcc: mallory@example.com\n{{7*7}} ${HOME} \x1b[31m"
)


def notifier(home: Path, environ: Mapping[str, str] | None = None) -> LocalNotifier:
    channels = Channels({"": ApprisePost}, environ or {})
    return LocalNotifier(home, UI_URL, review_url="http://127.0.0.1:8089", channels=channels)


def addressed(**urls: str) -> Notice:
    return notice(channels={name: Channel(url=url) for name, url in urls.items()})


def test_a_web_hook_hears_verdict_links_commands_and_deadline_once(tmp_path: Path) -> None:
    with hook() as web:
        given = addressed(ops=web.address())
        assert [notifier(tmp_path).tell(given, "ops") for _ in range(2)] == [True, False]
    (got,) = web.got
    assert got["title"] == "bikes: a challenger waits for your decision"
    assert got["message"].splitlines() == [
        "The challenger is worse: log loss 0.31 against 0.29.",
        f"Diagnostics: http://127.0.0.1:8088/evidence/bikes/{INCIDENT}/report.html",
        f"Workflow: {UI_URL}/namespaces/default/workflows/endpoint%2Fbikes%2Fincident%2F{INCIDENT}",
        f"Review page: http://127.0.0.1:8089/endpoint/bikes/incident/{INCIDENT}",
        f'To approve: python starter.py approve bikes/{INCIDENT} --note "why"',
        "Answer by 2012-03-04 12:00:00 UTC. If nobody answers by then, the champion stays.",
    ]


def test_mail_reaches_a_mail_server_with_all_its_words_and_no_further_headers(tmp_path: Path) -> None:
    with mail_server() as (box, port):
        given = addressed(mail=f"mailto://127.0.0.1:{port}?from=loop@example.com&to=ada@example.com")
        hostile = given.model_copy(update={"title": f"bikes {HOSTILE}", "sentence": HOSTILE})
        assert notifier(tmp_path).tell(hostile, "mail")
    (mail,) = box.mails
    assert mail.rcpt_tos == ["ada@example.com"]
    parsed = email.message_from_bytes(mail.content, policy=email_policy.default)
    assert "Bcc" not in parsed
    assert parsed["From"].addresses[0].addr_spec == "loop@example.com"
    assert parsed.get_content_type() == "text/plain"
    words = parsed.get_content()
    assert "\x1b" not in words
    assert f"python starter.py approve bikes/{INCIDENT}" in words


def test_hostile_text_calls_nobody_out_and_is_no_markup(tmp_path: Path, sent: list[Message]) -> None:
    given = addressed(any="json://localhost/").model_copy(update={"title": HOSTILE, "sentence": HOSTILE})
    channels = Channels({"": lambda: lambda _, message: sent.append(message)}, {})
    LocalNotifier(tmp_path, UI_URL, channels=channels).tell(given, "any")
    (message,) = sent
    for text in (message.title, message.text, message.markdown):
        assert "@everyone" not in text
        assert "\x1b" not in text
        assert "\r" not in text
    assert "\n" not in message.title
    assert "${HOME}" in message.text
    assert r"\<script\>" in message.markdown
    assert "[a](" not in message.markdown


@pytest.fixture
def sent() -> list[Message]:
    return []


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (500, Unavailable, "HTTP 500"),
        (503, Unavailable, "HTTP 503"),
        (429, Unavailable, "HTTP 429"),
        (401, Unavailable, "HTTP 401"),
        (404, Unavailable, "HTTP 404"),
        (400, Invalid, "the message was refused, HTTP 400"),
        (413, Invalid, "the message was refused, HTTP 413"),
        ("break", Unavailable, "the other side did not answer, or refused the connection"),
        ("redirect", Unavailable, "HTTP 307"),
    ],
)
def test_what_a_channel_answers_says_whether_trying_again_helps(
    tmp_path: Path, answer: int | str, error: type[Exception], said: str
) -> None:
    with hook(answer) as web:
        with pytest.raises(error) as caught:
            notifier(tmp_path).tell(addressed(ops=web.address()), "ops")
        assert str(caught.value) == f"json://127.0.0.1: {said}"
        assert web.asked == 1


def test_500_then_200_is_told_once_and_marked(tmp_path: Path) -> None:
    with hook(500) as web:
        given = addressed(ops=web.address())
        with pytest.raises(Unavailable):
            notifier(tmp_path).tell(given, "ops")
        assert [notifier(tmp_path).tell(given, "ops") for _ in range(3)] == [True, False, False]
        assert len(web.got) == 1


def test_a_channel_that_hangs_keeps_no_other_waiting_and_is_not_told_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.channels.SECONDS", 1.0)
    with hook("hang") as slow, hook() as quick:
        given, begun = addressed(slow=slow.address(), quick=quick.address()), time.monotonic()
        delivery = tell(notifier(tmp_path), given)
        assert time.monotonic() - begun < 3
        assert (delivery.told, list(delivery.waiting)) == (("quick",), ["slow"])
        assert "no answer within" in delivery.sentence
        again = tell(notifier(tmp_path), given)
        assert again.told == ("quick",)
        assert len(quick.got) == 1


def test_one_that_hangs_takes_a_few_threads_and_no_more() -> None:
    with hook() as web:
        held = Channels({"": lambda: lambda *_: web.released.wait(20)}, {})
        message = Message("t", "t", "t", "k", {})
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(AT_ONCE + 1) as pool:
            sendings = [pool.submit(held.post, "json://localhost/", message) for _ in range(AT_ONCE + 1)]
            soon(lambda: any(sending.done() for sending in sendings))
            (refused,) = [sending for sending in sendings if sending.done()]
            web.released.set()
        with pytest.raises(Unavailable, match=f"busy, {AT_ONCE} messages are under way"):
            refused.result()


def test_a_variable_that_is_not_set_is_named_and_the_other_channel_is_told(tmp_path: Path) -> None:
    with hook() as web:
        delivery = tell(notifier(tmp_path), addressed(slack="slack://${SLACK}/#alerts", ops=web.address()))
    assert delivery.told == ("ops",)
    assert delivery.sentence == (
        "not told by slack: slack://...: the environment variable SLACK is not set where the worker runs; "
        "set it and start the worker again"
    )
    assert delivery.waiting == ("slack",)


@pytest.mark.parametrize("address", ["slack://${BAD}/#alerts", "${BAD}", "nonsense://${BAD}", "json://[${BAD}"])
def test_an_address_that_no_service_takes_is_refused_without_repeating_it(tmp_path: Path, address: str) -> None:
    with pytest.raises(Invalid, match="Apprise doesn't take this address") as caught:
        notifier(tmp_path, {"BAD": SECRET}).tell(addressed(x=address), "x")
    assert SECRET not in str(caught.value)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Everything that any logger says, at any level."""
    said: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    root, kept = logging.getLogger(), Kept(0)
    level = root.level
    root.addHandler(kept)
    root.setLevel(1)
    yield said
    root.setLevel(level)
    root.removeHandler(kept)


@pytest.mark.parametrize("answer", [200, 500])
def test_secrets_reach_the_other_side_and_nothing_else(
    tmp_path: Path, logged: list[str], capfd: pytest.CaptureFixture[str], answer: int
) -> None:
    with hook(answer) as web:
        given = addressed(ops=f"json://loop:${{P}}@127.0.0.1:{web.port}/${{P}}?+X-Key=${{P}}")
        sender = notifier(tmp_path, {"P": SECRET})
        sender.send(given)
        delivery = tell(sender, given)
    assert len(web.got) == (answer == 200)
    kept = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    out, err = capfd.readouterr()
    for place in (kept, out, err, "".join(logged), delivery.model_dump_json()):
        assert SECRET not in place
    assert "${P}" in kept


def test_a_full_disk_does_not_send_the_same_page_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> bool:
        raise Exhausted("outbox: No space left on device")

    monkeypatch.setattr("platforms.local.notifier.create_exclusive", full)
    with hook() as web:
        given, sender = addressed(ops=web.address()), notifier(tmp_path)
        assert [sender.tell(given, "ops") for _ in range(3)] == [True, False, False]
        assert len(web.got) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from activities.channels import tell
from contracts.notices import Channel
from platforms.apprise_post import ApprisePost
from platforms.channels import Channels
from platforms.local.notifier import LocalNotifier
from tests.platforms.records_fixtures import notice
home, first, second = sys.argv[1:]
given = notice(channels={"first": Channel(url=first), "second": Channel(url=second)})
sender = LocalNotifier(Path(home), "", channels=Channels({"": ApprisePost}, {}))
sender.tell(given, "first")
print("told", flush=True)
sender.tell(given, "second")
"""


@pytest.mark.processes
def test_a_worker_killed_between_two_channels_tells_nobody_twice_who_had_acknowledged(tmp_path: Path) -> None:
    with hook() as first, hook("hang") as second:
        worker = start_python(KILLED, str(tmp_path), first.address(), second.address())
        assert worker.stdout.readline() == "told\n"
        soon(lambda: second.asked == 1)
        os.kill(worker.pid, signal.SIGKILL)
        worker.communicate()
        delivery = tell(notifier(tmp_path), addressed(first=first.address(), second=second.address()))
        assert delivery.told == ("first", "second")
        assert (first.asked, second.asked, len(second.got)) == (1, 2, 1)


def test_only_a_channel_that_reaches_one_person_gets_that_persons_link(tmp_path: Path, sent: list[Message]) -> None:
    channels = Channels({"": lambda: lambda _, message: sent.append(message)}, {})
    link: Callable[[str, Notice], str] = lambda person, given: f"http://127.0.0.1:8089/link?token={person}-{given.incident}"  # noqa: E731
    sender = LocalNotifier(tmp_path, UI_URL, channels=channels, signed_link=link)
    given = addressed(team="json://localhost/team", ada="json://localhost/ada").model_copy(update={"personal": {"ada": "ada"}})
    tell(sender, given)
    team, ada = sorted(sent, key=lambda message: len(message.text))
    assert "/link?token=" not in team.text + team.markdown
    assert f"Decide as ada: http://127.0.0.1:8089/link?token=ada-{INCIDENT}" in ada.text
    sender.send(given)
    assert "token=" not in "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
