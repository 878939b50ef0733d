"""Write a link of the audit chain, and tell people."""

from temporalio import activity

from activities.failures import translated
from contracts.audit import AuditEntry, AuditRecord
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


class NoticeActivities:
    def __init__(self, platform: Platform) -> None:
        self._notifier = platform.notifier

    @activity.defn
    @translated
    def notify(self, notice: Notice) -> bool:
        """False when this notice had been sent before."""
        return self._notifier.send(notice)
