"""Builders for the record-keeping ports. A second platform is one more line in PLATFORMS."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.audit import AuditEntry, AuditEvent
from contracts.notices import NoticeKind
from contracts.review import Default, Notice
from contracts.rollout import Manifest
from contracts.training import ModelRef
from platforms.aws.audit import AwsAudit
from platforms.aws.evidence import AwsEvidence
from platforms.aws.manifests import AwsManifests
from platforms.aws.notifier import AwsNotifier
from platforms.aws.objects import Objects
from platforms.aws.vault import AwsVault
from platforms.local.audit import LocalAudit
from platforms.local.evidence import LocalEvidence
from platforms.local.manifests import LocalManifests
from platforms.local.notifier import LocalNotifier
from platforms.local.vault import LocalVault
from platforms.notices import WaysIn
from platforms.ports import AuditStore, DecisionVault, EvidenceStore, ManifestStore, Notifier
from tests.aws.places import account_at

ROOT = Path(__file__).parents[2]
AT = datetime(2012, 3, 4, 12, tzinfo=UTC)
INCIDENT = "20120304T120000Z-1f2e3d"
BASE_URL = "http://127.0.0.1:8088"
UI_URL = "http://127.0.0.1:8233"


@dataclass(frozen=True)
class Records:
    manifests: ManifestStore
    evidence: EvidenceStore
    notifier: Notifier
    audit: AuditStore
    vault: DecisionVault


def local_records(home: Path) -> Records:
    return Records(
        manifests=LocalManifests(home),
        evidence=LocalEvidence(home, BASE_URL),
        notifier=LocalNotifier(home, UI_URL),
        audit=LocalAudit(home, home / "anchors"),
        vault=LocalVault(home),
    )


def aws_records(place: Path) -> Records:
    aws = account_at(place)
    objects = Objects(aws)
    return Records(
        manifests=AwsManifests(objects),
        evidence=AwsEvidence(objects, BASE_URL),
        notifier=AwsNotifier(objects, WaysIn(UI_URL)),
        audit=AwsAudit(aws, objects),
        vault=AwsVault(objects),
    )


PLATFORMS: dict[str, Callable[[Path], Records]] = {"local": local_records, "aws": aws_records}
"""Each opens the ports anew over what lies at the place given, as a second process would."""


def digest(n: int) -> str:
    return f"{n:064x}"


def entry(n: int, key: str | None = None, endpoint: str = "bikes", **facts: Any) -> AuditEntry:
    return AuditEntry(
        key=key or f"key/{n}",
        endpoint=endpoint,
        incident=INCIDENT,
        event=AuditEvent.DECIDED,
        at=AT,
        facts=facts or {"n": n, "gain": 0.1},
    )


def manifest(revision: int, key: str | None = None, endpoint: str = "bikes", champion: int | None = None) -> Manifest:
    model = ModelRef(endpoint=endpoint, digest=digest(revision if champion is None else champion))
    return Manifest(endpoint=endpoint, revision=revision, champion=model, promoted_as_of=AT, key=key or f"key/{revision}")


def notice(key: str = "endpoint/bikes/incident/1/review/1", **changes: Any) -> Notice:
    given: dict[str, Any] = {
        "kind": NoticeKind.REVIEW,
        "endpoint": "bikes",
        "incident": INCIDENT,
        "title": "bikes: a challenger waits for your decision",
        "sentence": "The challenger is worse: log loss 0.31 against 0.29.",
        "evidence": digest(1),
        "diagnostics": f"{BASE_URL}/evidence/bikes/{INCIDENT}/report.html",
        "workflow_id": f"endpoint/bikes/incident/{INCIDENT}",
        "commands": {"approve": f'python starter.py approve bikes/{INCIDENT} --note "why"'},
        "deadline": AT,
        "default": Default.KEEP,
    }
    return Notice(key=key, **given | changes)


def start_python(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process that can import the project; the caller waits for it and closes its pipes."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def run_python(script: str, *arguments: str) -> str:
    """What the script printed."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
