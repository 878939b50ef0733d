"""A notice in words, for the console and as markdown. Text from outside can't steer a terminal or a page."""

import re
import unicodedata
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from contracts.review import Default, Notice

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&!@]|(?<=:)//|(?<=www)\.)", re.IGNORECASE)
_BACKTICKS = re.compile(r"`+")

DEFAULTS = {
    Default.KEEP: "If nobody answers by then, the champion stays.",
    Default.PROMOTE: "If nobody answers by then, the challenger is promoted.",
}


def visible(text: str) -> str:
    """The text on one line, with whatever a terminal would obey (control, format, surrogate) written as an escape."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        return character
    return character.encode("unicode_escape").decode()


def plain(text: str) -> str:
    """A sentence on one line: white space becomes single spaces, the rest is made visible."""
    return visible(" ".join(text.split()))


def escaped(text: str) -> str:
    """The same as markdown that shows the text and nothing else: no markup, no HTML, no link."""
    return _MARKDOWN.sub(r"\\\1", plain(text))


def ui_link(ui_url: str, namespace: str, workflow_id: str) -> str:
    """The workflow's page in the Temporal UI."""
    return f"{ui_url.rstrip('/')}/namespaces/{quote(namespace, safe='')}/workflows/{quote(workflow_id, safe='')}"


def deadline_words(notice: Notice) -> str:
    """Until when an answer counts, and what happens without one; '' where nobody is asked."""
    if notice.deadline is None:
        return ""
    by = f"Answer by {notice.deadline:%Y-%m-%d %H:%M:%S} UTC."
    return f"{by} {DEFAULTS[notice.default]}" if notice.default else by


def links(notice: Notice, ui_url: str, namespace: str, review_url: str = "") -> dict[str, str]:
    """Report, Temporal UI and review page, as far as they are there."""
    found = {"Diagnostics": notice.diagnostics}
    if notice.workflow_id:
        found["Workflow"] = ui_link(ui_url, namespace, notice.workflow_id)
    if review_url and notice.incident:
        found["Review page"] = review_link(review_url, notice.endpoint, notice.incident)
    return {name: link for name, link in {**found, **notice.links}.items() if link}


def review_link(review_url: str, endpoint: str, incident: str) -> str:
    return f"{review_url.rstrip('/')}/endpoint/{quote(endpoint, safe='')}/incident/{quote(incident, safe='')}"


def as_console(notice: Notice, links: Mapping[str, str]) -> str:
    """A block of plain lines."""
    return "\n  ".join([f"[{notice.kind.value}] {plain(notice.title)}", *_lines(notice, links)])


def as_text(notice: Notice, links: Mapping[str, str]) -> str:
    """The same without its title, for channels that show one apart."""
    return "\n".join(_lines(notice, links))


def _lines(notice: Notice, links: Mapping[str, str]) -> list[str]:
    lines = [plain(notice.sentence)]
    lines += [f"{plain(name)}: {visible(link)}" for name, link in links.items()]
    lines += [f"To {plain(name)}: {visible(command)}" for name, command in notice.commands.items()]
    if words := deadline_words(notice):
        lines.append(words)
    return lines


def as_markdown(notice: Notice, links: Mapping[str, str], *, titled: bool = True) -> str:
    """A page: title, verdict, links, deadline and its default, commands."""
    parts = [f"# {escaped(notice.title)}"] if titled else []
    parts += [f"**{notice.kind.value}**: {escaped(notice.sentence)}", _facts(notice, links)]
    if words := deadline_words(notice):
        parts.append(words)
    parts += [f"To {escaped(name)}:\n\n{_fenced(command)}" for name, command in notice.commands.items()]
    return "\n\n".join(parts) + "\n"


def _facts(notice: Notice, links: Mapping[str, str]) -> str:
    rows = [f"- Endpoint: {escaped(notice.endpoint)}", f"- Incident: {escaped(notice.incident)}"]
    rows += [f"- {escaped(name)}: {_linked(link)}" for name, link in links.items()]
    if notice.evidence:
        rows.append(f"- Evidence: `{notice.evidence}`")
    if notice.recipients:
        rows.append(f"- For: {', '.join(escaped(name) for name in notice.recipients)}")
    return "\n".join(rows)


def _linked(link: str) -> str:
    """A link that opens, if it is one for the web; anything else is shown as text."""
    try:
        web = urlsplit(link).scheme in {"http", "https"} and bool(urlsplit(link).hostname)
    except ValueError:
        web = False
    return f"<{quote(link, safe=':/?#[]@!$&()*+,;=%~')}>" if web else escaped(link)


def _fenced(command: str) -> str:
    shown = visible(command)
    longest = max((len(run) for run in _BACKTICKS.findall(shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sh\n{shown}\n{fence}"
