"""Who answers reviews in the demo: the scripted reviewer, or you."""

import shlex
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import quote

from contracts.ids import remediation_id
from contracts.incident import RemediationStatus
from demo.news import News
from demo.place import Place
from demo.progress import Screen
from demo.reviewer import decide, opinion


class Reviews(Protocol):
    async def answer(self, status: RemediationStatus) -> None:
        """Called again and again while a review is open."""
        ...


class Scripted:
    """Decides each review once, on its evidence."""

    def __init__(self, environment: Mapping[str, str | None], news: News) -> None:
        self._environment = environment
        self._news = news
        self._decided: set[str] = set()

    async def answer(self, status: RemediationStatus) -> None:
        evidence, judgement = status.evidence, status.judgement
        if judgement is None or evidence is None or evidence in self._decided:
            return
        self._decided.add(evidence)
        said = opinion(judgement)
        await decide(f"{status.endpoint}/{status.incident}", evidence, said, self._environment)
        self._news.decision(status.incident, f"scripted reviewer {'approves' if said.approve else 'rejects'}: {said.note}")


class Yours:
    """Says how to decide, then waits."""

    def __init__(self, place: Place, screen: Screen) -> None:
        self._place = place
        self._screen = screen
        self._asked: set[str] = set()

    async def answer(self, status: RemediationStatus) -> None:
        if status.evidence is None or status.evidence in self._asked:
            return
        self._asked.add(status.evidence)
        for line in how_to_decide(self._place, status):
            self._screen.say(line, "bold")


def how_to_decide(place: Place, status: RemediationStatus) -> list[str]:
    """The lines that a person needs."""
    where = shlex.join([f"HOMEOSTAT_HOME={place.home}", f"TEMPORAL_ADDRESS={place.temporal}"])
    incident = f"{status.endpoint}/{status.incident}"
    command = f"{where} .venv/bin/python starter.py"
    deadline = f"until {status.review_deadline:%H:%M:%S} UTC, then the champion stays" if status.review_deadline else ""
    report = status.judgement.report_uri if status.judgement else ""
    workflow = quote(remediation_id(status.endpoint, status.incident), safe="")
    return [
        "",
        f"Your decision is asked for, {deadline}:",
        f"  {status.judgement.sentence if status.judgement else status.sentence}",
        f"  evidence  {report}",
        f"  workflow  {place.settings.ui_url}/namespaces/default/workflows/{workflow}",
        f"  approve   {command} approve {incident} --note 'why'",
        f"  reject    {command} reject {incident} --note 'why'",
        "",
    ]
