"""Builds the argument parser from the declared verbs."""

import argparse
from textwrap import fill
from typing import Final, NoReturn, TypeAlias

from console.exits import MEANING, Usage
from console.verb import Verb
from console.verbs import GROUPS, VERBS

PROG: Final = "python starter.py"
_ABOUT: Final = "homeostat: look after a fleet of machine-learning endpoints."
_ENVIRONMENT: Final = """\
environment:
  TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE ...   where Temporal is (default 127.0.0.1:7233)
  HOMEOSTAT_HOME                             local state of the platform (default var)
  HOMEOSTAT_BRIDGE_URL                       where the bridge is, for `doctor`
  HOMEOSTAT_KEY_FILE                         your private key, for `approve`, `reject` and `sign`
  HOMEOSTAT_REVIEW_URL                       where the review page is, for `login`
  NO_COLOR                                   no colours; they are also off when the output is not a terminal"""
_WIDTH: Final = 96
_DAY: Final = 86400.0


class Parser(argparse.ArgumentParser):
    """Raises instead of leaving, so that `--json` covers mistakes of usage too."""

    def error(self, message: str) -> NoReturn:
        raise Usage(f"{message}", f"See `{self.prog} --help`.")


_Verbs: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 - argparse gives its type no public name


def build_parser() -> Parser:
    """The whole command line. It imports nothing that a verb needs to do its work."""
    parser = _plain(PROG, _ABOUT, f"{exit_codes()}\n\n{_ENVIRONMENT}\n\n`{PROG} VERB --help` teaches a verb with an example.")
    top = parser.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=Parser)
    groups: dict[str, _Verbs] = {"": top}
    for verb in VERBS:
        group, _, name = verb.name.rpartition(" ")
        if group not in groups:
            groups[group] = _group(top, group, GROUPS[group])
        _add_verb(groups[group], name, verb)
    return parser


def exit_codes() -> str:
    return "exit codes:\n" + "\n".join(f"  {code.value}  {meaning}" for code, meaning in MEANING.items())


def _plain(prog: str, about: str, epilog: str) -> Parser:
    return Parser(
        prog=prog,
        description=about,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _group(top: _Verbs, name: str, summary: str) -> _Verbs:
    parser = top.add_parser(name, help=summary, description=_sentence(summary), epilog=exit_codes(), allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    return parser.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=Parser)


def _add_verb(where: _Verbs, name: str, verb: Verb) -> None:
    parser = where.add_parser(
        name,
        help=verb.summary,
        description=f"{_sentence(verb.summary)}\n\n{fill(verb.teaches, _WIDTH)}",
        epilog="examples:\n" + "\n".join(f"  {example}" for example in verb.examples) + f"\n\n{exit_codes()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for argument in verb.arguments:
        parser.add_argument(*argument.flags, **argument.options)
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout, and nothing else there")
    if verb.waits:
        wait = f"how long to wait for an answer (default: {verb.patience:g})"
        parser.add_argument("--timeout", metavar="SECONDS", type=seconds, default=verb.patience, help=wait)
    parser.set_defaults(verb=verb)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def seconds(text: str) -> float:
    """A span above 0 and up to a day."""
    value = float(text)
    if not 0 < value <= _DAY:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0 and up to {_DAY:g}")
    return value
