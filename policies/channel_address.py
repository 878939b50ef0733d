"""Addresses of channels: what is secret in them stands as ${NAME}, and is put in at the moment of sending.

An address without its secrets may stand anywhere: in the fleet file, in histories, in logs. So nothing here ever returns
what a variable held, but `expanded`, whose answer goes to whoever sends and nowhere else.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, quote

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
SNS = re.compile(r"sns:arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9]{1,30})://(.+)", re.DOTALL)
_OPEN = frozenset({"json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos"})
"""Addresses of one's own servers: only a password in them is secret."""
_HARMLESS = re.compile(r"(#|%23|@)?[a-z]+([-_.][a-z]+)*|localhost|[0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9a-f:]+\]")
"""A literal part that is a word, a host or a channel's name; tokens have digits or capitals, or no words."""
_LONGEST_WORD = 40
_HOST = re.compile(r"(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}|localhost|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9a-fA-F:]+\]")
_TOKENISH = re.compile(r"(?=[^/]*[0-9])[A-Za-z0-9_=-]{16,}|[A-Za-z0-9_=-]{32,}")
_PARAMETERS = frozenset(
    {"to", "from", "name", "smtp", "mode", "format", "cc", "bcc", "reply", "method", "overflow", "cto", "rto", "verify"}
    | {"channel", "footer", "image", "priority", "region"}
)
_REMEDY = "write ${NAME} in its place and set NAME where the worker runs"


def names(address: str) -> tuple[str, ...]:
    """The variables that an address needs."""
    return tuple(dict.fromkeys(VARIABLE.findall(address)))


def shown(address: str) -> str:
    """Scheme and host, for logs and records; a host that is no host may be a token, and stays out."""
    if address.startswith("sns:"):
        return address
    match = _SCHEME.fullmatch(address)
    if match is None:
        return address if VARIABLE.fullmatch(address) else "an address"
    host = _host(match[2])
    return f"{match[1]}://{host if _HOST.fullmatch(host) else '...'}"


def mistakes(address: str) -> Iterator[str]:
    """What is wrong with an address, each with its remedy, none with what it would give away."""
    if VARIABLE.fullmatch(address) or SNS.fullmatch(address):
        return
    match = _SCHEME.fullmatch(address)
    if match is None:
        yield "is no address: write an Apprise URL such as slack://${SLACK}/#alerts, ${NAME} for all of it, or sns: and an ARN"
        return
    if "${" in VARIABLE.sub("", address):
        yield "has a '${' that no name and '}' follow; write ${NAME}"
    yield from _secrets(match[1].lower(), match[2])


def _secrets(scheme: str, rest: str) -> Iterator[str]:
    before, _, query = rest.partition("?")
    user, _, place = before.rpartition("@")
    if _literal(user.partition(":")[2]):
        yield f"holds a password; {_REMEDY}"
    if any(_literal(value) and name.lower() not in _PARAMETERS for name, value in parse_qsl(query, keep_blank_values=True)):
        yield f"has a parameter that may be secret; {_REMEDY}, or leave it out"
    parts = [user.partition(":")[0], *place.split("/")]
    if scheme in _OPEN:
        if any(_TOKENISH.fullmatch(part) for part in place.split("/")[1:] if _literal(part)):
            yield f"has a part that looks like a token; {_REMEDY}"
        return
    if not names(before) or not all(_harmless(part) for part in parts):
        yield f"holds the token of a {scheme} channel, or what could be one; {_REMEDY}"


def _literal(part: str) -> str:
    """What is left of a part without its variables."""
    return VARIABLE.sub("", part)


def _harmless(part: str) -> bool:
    left = _literal(part).partition(":")[0]
    return not left or (_HARMLESS.fullmatch(left) is not None and len(left) <= _LONGEST_WORD) or _HOST.fullmatch(left) is not None


def _host(rest: str) -> str:
    place = re.split(r"[/?]", rest, maxsplit=1)[0].rpartition("@")[2]
    return place if place.startswith("[") else place.partition(":")[0]


class Unset(Exception):
    """A variable that an address needs is not there."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the environment variable {name} is not set where the worker runs; set it and start the worker again")


def expanded(address: str, environ: Mapping[str, str]) -> str:
    """The address with its secrets. In front of '@' and behind '?' they are quoted, so that they can't end up as a host.

    Raises: Unset (names the first variable that is missing or empty).
    """
    for name in names(address):
        if not environ.get(name):
            raise Unset(name)
    if match := VARIABLE.fullmatch(address):
        return environ[match[1]].strip()
    before, mark, query = address.partition("?")
    user, at, place = before.rpartition("@")
    return _put(user, environ, quoted=True) + at + _put(place, environ, quoted=False) + mark + _put(query, environ, quoted=True)


def _put(text: str, environ: Mapping[str, str], *, quoted: bool) -> str:
    def value(match: re.Match[str]) -> str:
        return quote(environ[match[1]].strip(), safe="") if quoted else environ[match[1]].strip()

    return VARIABLE.sub(value, text)
