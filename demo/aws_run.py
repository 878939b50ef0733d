"""`make demo PLATFORM=aws-sim`: a CloudWatch alarm to a promotion, on the AWS adapter, against a simulated account over HTTP.

The data's clock is moved so that the last week before the alarm ended last midnight: CloudWatch alarms carry the time at which
they go off, and on live traffic that is the data's time, too.
"""

import asyncio
import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from temporalio.client import Client

from contracts.alarm import AlarmKind
from contracts.incident import Stage
from demo.aws_account import ACCURACY_ALARM, Account
from demo.aws_place import COLUMNS, FLEET_FILE, AwsPlace
from demo.aws_report import AwsSummary, Weekly, summarise
from demo.data import FIRST_DAYS, WEEK, Hours
from demo.news import News
from demo.place import ENDPOINT, clear
from demo.progress import Screen
from demo.reviewer import starter
from demo.reviews import Scripted
from demo.watch import Loop, Moment, StuckError
from runtime.client import DATA_CONVERTER
from runtime.process_group import ProcessGroup, ending_on_signals

WEEKS_BEFORE = 30
"""Weeks of traffic before the alarm: by then the first champion has lost a fifth of its accuracy."""
GOOD_WEEKS = 2
"""By what the first champion reaches in its first weeks the alarm is set ..."""
LOSS = 0.05
"""... so much below."""
WEEKS_AFTER = 2
"""Weeks of traffic after the promotion, in which the watch ends. They lie ahead of the clock."""
ROWS_PER_CALL = 84
PATIENCE_SECONDS = 300.0
PAUSE_SECONDS = 0.5


@dataclass
class AwsRun:
    """One run, from an empty account to its end."""

    place: AwsPlace
    data: Hours
    screen: Screen
    weeks: int = WEEKS_BEFORE
    """Weeks of traffic before the alarm."""

    def __post_init__(self) -> None:
        self.data = ending_now(self.data, self.weeks)
        self.start = self.data.event_time[0].replace(hour=0) + FIRST_DAYS
        self.account = Account(self.place.account)
        self._weeks: list[Weekly] = []

    def play(self) -> AwsSummary:
        """The processes are gone when it returns or raises."""
        with ending_on_signals(), ProcessGroup(self.place.home, say=self.screen.detail) as group, self.screen:
            clear(self.place.home)
            group.start(self.place.simulated())
            environment = self._furnish()
            for process in self.place.processes(environment):
                group.start(process)
            summary = asyncio.run(self._drive(group, environment))
            self.screen.say("ending the processes ...")
        return summary

    def _furnish(self) -> dict[str, str | None]:
        """The account as a cloud team would have it."""
        outputs = self.account.deploy_stack()
        self.screen.say(f"the stack of deploy/aws is deployed; alarms come over {outputs['QueueUrl'].rpartition('/')[2]}")
        self.account.make_feature_group(outputs["TrainingRoleArn"])
        hours = self.data.between(self.data.event_time[0], self.start)
        self.account.ingest(hours)
        self.account.watch_errors()
        self.screen.say(f"{len(hours):,} labelled hours up to {self.start:%Y-%m-%d} are in the feature group's offline store")
        return self.place.environment(outputs)

    async def _drive(self, group: ProcessGroup, environment: dict[str, str | None]) -> AwsSummary:
        client = await Client.connect(self.place.base.temporal, data_converter=DATA_CONVERTER)
        news = News(self.screen)
        self._loop, self._news, self._check = Loop(client, ENDPOINT), news, group.check
        self._reviews = Scripted(environment, news)
        await self._onboard(environment)
        for number in range(1, self.weeks + 1):
            await asyncio.to_thread(self._week, number)
            if number == GOOD_WEEKS:
                self._least = sum(week.accuracy for week in self._weeks) / GOOD_WEEKS - LOSS
                await asyncio.to_thread(self.account.watch_quality, self._least)
                self.screen.say(f"{ACCURACY_ALARM} goes off below {self._least:.3f}")
        await self._alarm()
        await self._closes(seen=1)
        return await summarise(
            weeks=self._weeks,
            incidents=(await self._patiently()).state.history,
            requests=sum(len(self._hours(n)) for n in range(1, len(self._weeks) + 1)),
            environment=environment,
            dead_letters=self.account.waiting(str(environment["HOMEOSTAT_SQS_DEAD_LETTER_URL"])),
        )

    async def _onboard(self, environment: dict[str, str | None]) -> None:
        """The loop itself trains, judges and deploys the first champion, because an alarm asks for one."""
        self.screen.say("the fleet file is applied, and an onboarding alarm asks for the first champion")
        await starter(environment, "apply", str(FLEET_FILE))
        words = ("--kind", AlarmKind.ONBOARDING.value, "--as-of", self.start.isoformat(), "--id", "demo-onboarding")
        await starter(environment, "alarm", ENDPOINT, *words, "--message", "The endpoint has no champion yet.")
        await self._closes(seen=0)
        first = (await self._patiently()).state.history[0]
        if not first.promoted:
            raise StuckError(f"the onboarding ended without a champion: {first.sentence}")

    async def _alarm(self) -> None:
        """The team's quality job publishes what it measured; CloudWatch does the rest."""
        accuracy = self._weeks[-1].accuracy
        self.screen.event(
            f"the quality job publishes an accuracy of {accuracy:.3f}; {ACCURACY_ALARM} wants {self._least:.3f}", "magenta"
        )
        await asyncio.to_thread(self.account.publish_accuracy, accuracy)

    async def _closes(self, seen: int) -> None:
        """Wait until one more incident than `seen` has closed; traffic goes on while the new champion is watched."""
        began, weeks, last = time.monotonic(), 0, ""
        while True:
            self._check()
            moment = await self._patiently()
            self._news.moment(moment)
            if len(moment.state.history) > seen:
                return
            if moment.stage is Stage.REVIEW and moment.status is not None:
                await self._reviews.answer(moment.status)
            if moment.stage is Stage.WATCH and weeks < WEEKS_AFTER and self._weeks:
                weeks += 1
                await asyncio.to_thread(self._week, len(self._weeks) + 1)
            now = f"{moment.stage} {moment.status.sentence if moment.status else ''}"
            began, last = (began, last) if now == last else (time.monotonic(), now)
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise StuckError(f"nothing has happened for {PATIENCE_SECONDS:g} s: {now}")
            await asyncio.sleep(PAUSE_SECONDS)

    def _week(self, number: int) -> None:
        """A week's requests through the endpoint, then its labels."""
        hours = self._hours(number)
        runtime = self.account.client("sagemaker-runtime")
        replies = [_ask(runtime, hours[at : at + ROWS_PER_CALL]) for at in range(0, len(hours), ROWS_PER_CALL)]
        answers = np.array([answer["label"] for reply in replies for answer in reply["answers"]])
        week = Weekly(float((answers == hours.busy).mean()), frozenset(reply["model"][:8] for reply in replies))
        self.account.ingest(hours)
        self._weeks.append(week)
        champion = " and ".join(sorted(week.models))
        self.screen.say(f"week {number:>3}  {hours.event_time[0]:%Y-%m-%d}  champion {champion}  accuracy {week.accuracy:.3f}")

    def _hours(self, number: int) -> Hours:
        return self.data.between(self.start + WEEK * (number - 1), self.start + WEEK * number)

    async def _patiently(self) -> Moment:
        began = time.monotonic()
        while (moment := await self._loop.look()) is None:
            self._check()
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise StuckError("the lifecycle doesn't answer")
            await asyncio.sleep(PAUSE_SECONDS)
        return moment


def _ask(runtime: Any, hours: Hours) -> dict[str, Any]:  # noqa: ANN401 - a boto3 client
    rows = zip(hours.ids, hours.event_time, hours.features.tolist(), strict=True)
    requests = [
        {"id": id_, "event_time": when.isoformat(), "features": dict(zip(COLUMNS, values, strict=True))}
        for id_, when, values in rows
    ]
    body = json.dumps({"requests": requests})
    reply = runtime.invoke_endpoint(EndpointName=ENDPOINT, ContentType="application/json", Body=body)
    found: dict[str, Any] = json.loads(reply["Body"].read())
    return found


def ending_now(data: Hours, weeks: int) -> Hours:
    """The same hours at other times, moved by whole days: the last week before the alarm ended last midnight."""
    last = data.event_time[0].replace(hour=0) + FIRST_DAYS + WEEK * weeks
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return replace(data, event_time=tuple(when + (midnight - last) for when in data.event_time))
