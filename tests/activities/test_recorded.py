"""What a record holds is read back as it was."""

from activities.recorded import Recorded
from contracts.audit import AuditEntry, AuditEvent, AuditRecord
from contracts.evaluation import Evidence
from contracts.shadow import BenchAdvice, Shift
from contracts.snapshot import Window
from tests.platforms.data_fixtures import at

SHA = "ab" * 32


def test_the_advice_on_a_first_champion_is_read_back_though_records_leave_out_what_is_none() -> None:
    evidence = Evidence(
        uri="pairs",
        digest=SHA,
        holdout_rows=1,
        replay_rows=0,
        replay_labelled=0,
        compared=Window(start=at(0), end=at(7)),
        champion=None,
        challenger=SHA,
    )
    refit = Shift(on=False, shift=(0.0,), gain=0.0, changed=False)
    advice = BenchAdvice(endpoint="bikes", as_of=at(7), blend="all", members=("all",), refit=refit, evidence=evidence)
    facts = {"advice": advice.model_dump(mode="json", exclude_none=True), "requests": {"evaluate-refit": {}}}
    entry = AuditEntry(key="k", endpoint="bikes", event=AuditEvent.DECIDED, at=at(7), facts=facts)
    assert Recorded(AuditRecord(seq=1, entry=entry, previous=SHA, hash=SHA)).advice == advice
