"""Judging one endpoint's live quality, period by period, as the labels arrive."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from os import getpid
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from contracts.alarm import Alarm, AlarmKind
from contracts.base import EndpointName
from contracts.fleet import EndpointPolicy
from contracts.monitor import QualityReport
from contracts.snapshot import DataPolicy, Window
from contracts.training import ModelCard
from platforms.alarm_post import AlarmPost
from platforms.errors import NotFound
from platforms.files import locked, read_json
from platforms.local.feature_table import FeatureTable
from platforms.local.quality_log import MonitorState, QualityLog
from platforms.local.traffic import LocalTrafficLog
from platforms.ports import Served
from policies import quality
from policies.paired import labelled

_log = structlog.get_logger()


class EndpointMonitor:
    """Looks at one endpoint; `judge` may be called as often as one likes."""

    def __init__(self, home: Path, endpoint: EndpointName, policy: EndpointPolicy, post: AlarmPost) -> None:
        self._home = home
        self._endpoint = endpoint
        self._policy = policy
        self._post = post
        self._traffic = LocalTrafficLog(home)
        self._labels = FeatureTable(home / "features", policy.data.table)
        self._log = QualityLog(home, endpoint)

    def judge(self) -> int:
        """Judge every complete period that wasn't judged yet; returns how many.

        A period is recorded only after its alarm was taken, so a monitor killed in between raises the same alarm again.

        Raises: NotFound, Corrupt, Invalid, Exhausted, Unavailable (the bridge can't be reached; the period is judged again).
        """
        watermark = self._labels.newest_label()
        days = self._traffic.days(self._endpoint)
        if watermark is None or not days:
            return 0
        with locked(self._log.lock):
            state = self._begin(days[0])
            self._log.tell(state)
            judged = 0
            for window in self._complete(state, days, watermark):
                self._log.record(self._judge_period(window))
                state = state.model_copy(update={"judged_until": window.end, "pid": getpid()})
                self._log.tell(state)
                judged += 1
        return judged

    def _begin(self, first_day: str) -> MonitorState:
        """Where things stand. The reports are the truth about what was judged; the first of them fixes the origin."""
        reports = self._log.reports()
        if not reports:
            origin = datetime.fromisoformat(first_day).replace(tzinfo=UTC)
            return MonitorState(endpoint=self._endpoint, origin=origin, judged_until=origin, pid=getpid())
        last = max(report.window.end for report in reports)
        return MonitorState(endpoint=self._endpoint, origin=reports[0].window.start, judged_until=last, pid=getpid())

    def _complete(self, state: MonitorState, days: list[str], watermark: datetime) -> Iterator[Window]:
        """Periods with traffic that end after what was judged and whose labels have had time to arrive."""
        period, delay = self._policy.monitor.period, self._policy.data.label_delay
        for index in sorted(_periods_of(days, state.origin, period)):
            window = Window(start=state.origin + index * period, end=state.origin + (index + 1) * period)
            if window.end > state.judged_until and window.end + delay <= watermark:
                yield window

    def _judge_period(self, window: Window) -> QualityReport:
        known_at = window.end + self._policy.data.label_delay
        served = self._traffic.replay(self._endpoint, self._policy.data, window, known_at)
        report = self._report(window, served)
        alarm = _alarm(report, self._policy)
        taken = alarm is not None and self._post.send(alarm)
        _log.info("period_judged", endpoint=self._endpoint, end=window.end.isoformat(), crossed=report.crossed, **report.metrics)
        return report.model_copy(update={"alarm": alarm.id}) if alarm and taken else report

    def _report(self, window: Window, served: Served) -> QualityReport:
        known, task = _judged(served, self._policy.data), self._policy.data.task
        digests = Counter(served.digest.tolist())
        card = self._card(digests)
        reference = card.reference if card else {}
        enough = int(known.sum()) >= self._policy.monitor.min_rows
        label, score, threshold = served.label[known], served.score[known], self._threshold(card)
        found = quality.measured(label, score, task=task, threshold=threshold) if enough else {}
        return QualityReport(
            endpoint=self._endpoint,
            window=window,
            requests=len(served),
            labelled=int(known.sum()),
            digests=tuple(sorted(digests)),
            metrics=found,
            reference=reference,
            crossed=quality.crossed(metrics=found, reference=reference, policy=self._policy.monitor, task=task),
        )

    def _threshold(self, card: ModelCard | None) -> float:
        """As the answers were given: by the model's own threshold where it has one, whatever the fleet file says by now."""
        return self._policy.serving.threshold if card is None or card.threshold is None else card.threshold

    def _card(self, digests: Counter[str]) -> ModelCard | None:
        """Of the model that answered most, with what it had reached at its gate; None where nobody registered it.

        Raises: Corrupt.
        """
        if not digests:
            return None
        digest = digests.most_common(1)[0][0]
        try:
            return read_json(self._home / "registry" / self._endpoint / digest / "card.json", ModelCard)
        except NotFound:
            _log.error("no_reference", endpoint=self._endpoint, digest=digest, reason="the model that answered is not registered")
            return None


def _periods_of(days: list[str], origin: datetime, period: timedelta) -> set[int]:
    """Numbers of the periods that any of the days touches, counted from the origin."""
    starts = [datetime.fromisoformat(day).replace(tzinfo=UTC) for day in days]
    last = timedelta(days=1) - timedelta(microseconds=1)
    spans = [range((start - origin) // period, (start + last - origin) // period + 1) for start in starts]
    return {index for span in spans for index in span if index >= 0}


def _judged(served: Served, data: DataPolicy) -> NDArray[np.bool_]:
    """Rows whose label is known and one of the task, and whose score the present task can read."""
    known = labelled(served.label, data.task, len(data.classes))
    return known & np.isfinite(served.score.reshape(len(served), -1)).all(axis=1)


def _alarm(report: QualityReport, policy: EndpointPolicy) -> Alarm | None:
    """The alarm that a report calls for; the same report always makes the same alarm."""
    if not report.crossed:
        return None
    task = policy.data.task
    worst = ", ".join(f"{name} {report.metrics[name]:.3f} (was {report.reference[name]:.3f})" for name in report.crossed)
    return Alarm(
        id=f"monitor-{report.endpoint}-{report.window.end.isoformat()}",
        endpoint=report.endpoint,
        kind=AlarmKind.MODEL_QUALITY,
        as_of=report.window.end + policy.data.label_delay,
        severity=quality.severity(metrics=report.metrics, reference=report.reference, policy=policy.monitor, task=task),
        source="local-monitor",
        message=f"Live quality fell in the period that ended {report.window.end:%Y-%m-%d}: {worst}.",
        metrics=quality.readings(metrics=report.metrics, reference=report.reference, policy=policy.monitor, task=task),
        anomaly_start=report.window.start,
        anomaly_end=report.window.end,
    )
