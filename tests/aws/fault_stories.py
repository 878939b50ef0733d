"""Records: manifest, audit chain, evidence, notices, tickets."""

from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Final

from platforms.aws.audit import AwsAudit
from platforms.aws.evidence import AwsEvidence
from platforms.aws.manifests import AwsManifests
from platforms.aws.notifier import AwsNotifier
from platforms.aws.vault import AwsVault
from platforms.notices import WaysIn
from tests.aws.faulting import Stage, Step, Story
from tests.platforms.records_fixtures import BASE_URL, INCIDENT, UI_URL, entry, manifest, notice


def _manifest(stage: Stage) -> Step:
    AwsManifests(stage.objects).write(manifest(1))
    return lambda: AwsManifests(stage.objects).write(manifest(2))


def _manifest_holds(stage: Stage) -> None:
    assert list(AwsManifests(stage.objects).history("bikes")) == [manifest(1), manifest(2)]
    assert len(stage.done("s3", "PutObject")) == 1


def _audit(stage: Stage) -> Step:
    AwsAudit(stage.aws, stage.objects).append(entry(1))
    return lambda: AwsAudit(stage.aws, stage.objects).append(entry(2))


def _audit_holds(stage: Stage) -> None:
    chain = AwsAudit(stage.aws, stage.objects)
    assert [record.entry.key for record in chain.read()] == ["key/1", "key/2"]
    assert (chain.verify().verified, chain.verify().notes) == (True, ())
    assert len(stage.done("s3", "PutObject")) == 3
    assert chain.append(entry(3)).seq == 3


def _evidence(stage: Stage) -> Step:
    return lambda: AwsEvidence(stage.objects, BASE_URL).write("bikes", INCIDENT, "report.html", b"<p>")


def _evidence_holds(stage: Stage) -> None:
    assert stage.keys() == [f"evidence/bikes/{INCIDENT}/report.html"]
    assert len(stage.done("s3", "PutObject")) == 1


def _notice(stage: Stage) -> Step:
    return lambda: _sent(stage)


def _sent(stage: Stage) -> bool:
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        return AwsNotifier(stage.objects, WaysIn(UI_URL)).send(notice())


def _notice_holds(stage: Stage) -> None:
    assert [key.split("/")[1] for key in stage.keys("notices/")] == ["pages", "sent"]
    assert not _sent(stage)


def _ticket(stage: Stage) -> Step:
    return lambda: AwsVault(stage.objects).keep("a.signed.token")


def _ticket_holds(stage: Stage) -> None:
    [key] = stage.keys("vault/")
    assert AwsVault(stage.objects).read(key.removeprefix("vault/")) == "a.signed.token"


_ONE_RECORD: Final = "one linear chain with the record once, found by its key, and the next append goes on"

RECORDS: Final = (
    Story("s3", "put_object", "write a manifest's revision", "the revision once, and none skipped", _manifest, _manifest_holds),
    Story("s3", "put_object", "append to the audit chain: the record", _ONE_RECORD, _audit, _audit_holds),
    Story("s3", "put_object", "append to the audit chain: the pointer", _ONE_RECORD, _audit, _audit_holds, skip=1, seldom=True),
    Story("s3", "put_object", "append to the audit chain: the anchor", _ONE_RECORD, _audit, _audit_holds, skip=2, seldom=True),
    Story("s3", "put_object", "keep evidence", "the file once, as it was given", _evidence, _evidence_holds),
    Story("s3", "put_object", "send a notice: the page", "the page, and that it was sent", _notice, _notice_holds, seldom=True),
    Story("s3", "put_object", "send a notice: the mark", "the page, and that it was sent", _notice, _notice_holds, skip=1),
    Story("s3", "put_object", "keep a decision's token", "the token once, under its ticket", _ticket, _ticket_holds),
)
