"""One run of the demo, from an empty folder to its report."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from temporalio.client import Client

from contracts.alarm import AlarmKind
from contracts.fleet import EndpointPolicy
from demo.baselines import Baselines, baselines
from demo.data import FIRST_DAYS, WEEK, Hours
from demo.drive import EXTRA_WEEKS, Drive, Replay, labelled_rows
from demo.news import News
from demo.place import ENDPOINT, FLEET_FILE, Place, clear
from demo.progress import Screen
from demo.reviewer import starter
from demo.reviews import Reviews, Scripted, Yours
from demo.traffic import Clients
from demo.watch import Loop, Periods
from platforms.errors import NotFound
from platforms.local.feature_store import LocalFeatureStore
from platforms.ports import Platform
from platforms.tabular.artifact_file import artifact_path
from runtime.client import DATA_CONVERTER
from runtime.process_group import ProcessGroup, ending_on_signals

ONBOARDING = "demo-onboarding"


@dataclass(frozen=True)
class Played:
    """What a replay leaves."""

    replay: Replay
    others: Baselines
    fates: dict[str, int]
    """The lifecycle's own counts of alarms."""


@dataclass(frozen=True)
class Run:
    """The parts of one run."""

    place: Place
    platform: Platform
    policy: EndpointPolicy
    data: Hours
    weeks: int
    by_person: bool
    screen: Screen

    @property
    def start(self) -> datetime:
        """End of the first year, from which traffic is replayed."""
        return self.data.event_time[0].replace(hour=0) + FIRST_DAYS

    def play(self) -> Played:
        """The processes are gone when it returns or raises."""
        with ending_on_signals(), ProcessGroup(self.place.home, say=self.screen.detail) as group, self.screen:
            clear(self.place.home)
            store = self._history()
            for process in self.place.processes():
                group.start(process)
            self._welcome()
            played = asyncio.run(self._drive(group, store))
            self.screen.say("ending the processes ...")
        return played

    def _history(self) -> LocalFeatureStore:
        store = LocalFeatureStore(self.place.home)
        hours = self.data.between(self.data.event_time[0], self.start)
        store.append(self.policy.data.table, labelled_rows(hours))
        self.screen.say(f"{len(hours):,} labelled hours up to {self.start:%Y-%m-%d} are in the feature store")
        return store

    def _welcome(self) -> None:
        who = "you decide the reviews" if self.by_person else "a scripted reviewer decides the reviews"
        self.screen.say(f"Temporal UI   {self.place.settings.ui_url}", "bold")
        self.screen.say(f"The processes run; {who}. `make demo REVIEW=me` lets you decide. Ctrl-C ends it and cleans up.")

    async def _drive(self, group: ProcessGroup, store: LocalFeatureStore) -> Played:
        client = await Client.connect(self.place.temporal, data_converter=DATA_CONVERTER)
        news = News(self.screen)
        drive = Drive(
            data=self.data,
            asked=self.start,
            policy=self.policy,
            loop=Loop(client, ENDPOINT),
            monitor=Periods(self.place.home, ENDPOINT),
            store=store,
            reviews=self._reviews(news),
            news=news,
            check=group.check,
        )
        await self._onboard(drive)
        others = asyncio.create_task(asyncio.to_thread(self._others))
        async with Clients(self.platform.serving.describe(ENDPOINT).url) as clients:
            drive.clients = clients
            replay = await drive.run(self.weeks)
        return Played(replay, (await others).first(len(replay.hours)), await drive.counts())

    def _reviews(self, news: News) -> Reviews:
        return Yours(self.place, self.screen) if self.by_person else Scripted(self.place.environment, news)

    async def _onboard(self, drive: Drive) -> None:
        """The loop itself trains, judges and promotes the first champion, because an alarm asks for one."""
        self.screen.say("the fleet file is applied, and an onboarding alarm asks for the first champion")
        await starter(self.place.environment, "apply", str(FLEET_FILE))
        words = ("--kind", AlarmKind.ONBOARDING.value, "--as-of", self.start.isoformat(), "--id", ONBOARDING)
        await starter(self.place.environment, "alarm", ENDPOINT, *words, "--message", "The endpoint has no champion yet.")
        await drive.known_alarm(ONBOARDING)
        await drive.settle()

    def _others(self) -> Baselines:
        """Computed beside the replay, on one thread, for as many weeks as it may take."""
        manifest = self.platform.manifests.read(ENDPOINT)
        if manifest is None:
            raise NotFound(f"endpoint {ENDPOINT} has no champion: the onboarding was not promoted, see the lines above")
        card = self.platform.registry.get(manifest.champion)
        replayed = self.data.between(self.start, self.start + WEEK * (self.weeks + EXTRA_WEEKS))
        return baselines(self.data, replayed, artifact_path(card.artifact_uri), self.policy.training.recipe.learner)
