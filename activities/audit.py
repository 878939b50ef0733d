"""Write a link of the audit chain, and tell people."""

import time

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.channels import tell
from activities.failures import translated
from contracts.audit import AuditEntry, AuditRecord
from contracts.delivery import Delivery
from contracts.review import Notice
from platforms.ports import Platform


class AuditActivities:
    def __init__(self, platform: Platform) -> None:
        self._audit = platform.audit

    @activity.defn
    @translated
    def record(self, entry: AuditEntry) -> AuditRecord:
        """Raises when nothing durable was written: the caller then promotes nothing."""
        record = self._audit.append(entry)
        return record.model_copy(update={"entry": entry.model_copy(update={"facts": {}})})


_QUICK = 5.0
"""Seconds; whoever took longer to fail would take as long again, and an incident's end waits for this."""


class NoticeActivities:
    def __init__(self, platform: Platform) -> None:
        self._notifier = platform.notifier

    @activity.defn
    @translated
    def notify(self, notice: Notice) -> Delivery:
        """Through every channel, once per state. One that is down is tried a second time, unless it hangs, and then named.

        Raises where the notice can't be kept for people to look up; the channels have been tried all the same.
        """
        begun = time.monotonic()
        try:
            self._notifier.send(notice)
        finally:
            delivery = tell(self._notifier, notice)
        quick = time.monotonic() - begun < _QUICK
        if delivery.waiting and quick and activity.info().attempt == 1:
            raise _unfinished(delivery)
        return delivery

    @activity.defn
    def notify_late(self, notice: Notice) -> Delivery:
        """What a channel that was down has not taken: tried until it has, or until the step's time is up."""
        delivery = tell(self._notifier, notice)
        if delivery.waiting:
            raise _unfinished(delivery)
        return delivery


def _unfinished(delivery: Delivery) -> ApplicationError:
    """Carries who has been told and who hasn't, for when it was the last try."""
    return ApplicationError(delivery.sentence, delivery, type="Untold", category=ApplicationErrorCategory.BENIGN)
