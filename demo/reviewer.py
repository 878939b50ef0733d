"""The scripted reviewer: a rule that answers reviews by the command that a person would type.

It is no part of the loop and knows nothing that a person would not read in the notice.
"""

import asyncio
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from contracts.evaluation import Judgement, Verdict
from runtime.errors import StartError
from runtime.process_group import PROJECT

NAME = "scripted-reviewer (demo)"


class CommandFailed(StartError):
    """A command of the demo was refused; the message carries what it printed."""

    exit_code = 70


@dataclass(frozen=True)
class Opinion:
    """What the rule says, and why."""

    approve: bool
    note: str


def opinion(judgement: Judgement) -> Opinion:
    """Reject what is worse or gains too little; approve a gain that breaks no guard, even where the gate wants it steadier."""
    gain = f"log-loss gain {judgement.relative_gain:+.1%}, t {judgement.t:+.1f} over {judgement.days} days"
    broken = ", ".join(c.metric for c in judgement.comparisons if not c.held)
    least = judgement.policy.refresh.log_loss_gain
    if judgement.verdict is Verdict.REGRESS:
        return Opinion(False, f"the verdict is regress: {gain}" + (f"; worse than its margin: {broken}" if broken else ""))
    if broken:
        return Opinion(False, f"worse than its margin: {broken}; {gain}")
    if judgement.verdict is Verdict.PROMOTE:
        return Opinion(True, f"the gate's conditions all hold: {gain}")
    if judgement.relative_gain >= least:
        return Opinion(True, f"not proven, but better by {least:.0%} at least, and no guard is broken: {gain}")
    return Opinion(False, f"a gain of less than {least:.0%} is not worth a change: {gain}")


async def decide(incident: str, evidence: str, said: Opinion, environment: Mapping[str, str | None]) -> None:
    """`incident` is ENDPOINT/ID; the decision names the evidence it rests on.

    Raises:
        CommandFailed: the loop refused it.
    """
    verb = "approve" if said.approve else "reject"
    await starter(environment, verb, incident, "--reviewer", NAME, "--evidence", evidence, "--note", said.note)


async def starter(environment: Mapping[str, str | None], *words: str) -> str:
    """Run `python starter.py WORDS` as a person would; returns what it printed.

    Raises:
        CommandFailed: it ended with another code than 0.
    """
    merged = {**os.environ, **environment}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "starter.py", *words),
        cwd=PROJECT,
        env={name: value for name, value in merged.items() if value is not None},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        printed, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    text = printed.decode(errors="replace").strip()
    if process.returncode:
        raise CommandFailed(f"`starter.py {shlex.join(words)}` ended with {process.returncode}:\n{text}")
    return text
