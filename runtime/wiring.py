"""The composition root: the only place that says local or aws. Adapters are imported when they are chosen."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError

from contracts.review import Notice
from platforms.channels import Channels, Post
from platforms.checkup import Checkup
from platforms.errors import PlatformError
from platforms.letters import AlarmIntake, AlarmQueue
from platforms.ports import DecisionVault, EvidenceStore, Platform
from runtime.errors import Misconfigured
from runtime.fleet_file import load
from runtime.settings import Settings

if TYPE_CHECKING:
    from platforms.aws.calls import Aws
    from platforms.aws.objects import Objects


def platform_from(settings: Settings) -> Platform:
    """Raises: Misconfigured (no bucket, no region, no boto3)."""
    return _local(settings) if settings.platform == "local" else _aws(settings)


def _channels() -> Channels:
    """Each library is loaded when a channel first needs it."""

    def apprise() -> Post:
        from platforms.apprise_post import ApprisePost

        return ApprisePost()

    def sns() -> Post:
        from platforms.aws.sns_post import SnsPost

        return SnsPost()

    return Channels({"sns:": sns, "": apprise})


def _signed_link(settings: Settings) -> Callable[[str, Notice], str]:
    """Opens the review page as one person, for one incident and its evidence, until the deadline."""
    from platforms.identity.folder import IdentityFolder
    from platforms.identity.links import Links

    links = Links(IdentityFolder(settings.home))

    def link(person: str, notice: Notice) -> str:
        assert notice.evidence is not None
        assert notice.deadline is not None
        token = links.link_token(
            person=person,
            endpoint=notice.endpoint,
            incident=notice.incident,
            evidence=notice.evidence,
            expires=notice.deadline,
            now=datetime.now(UTC),
        )
        return f"{settings.review_url.rstrip('/')}/link?token={token}"

    return link


def vault_from(settings: Settings) -> DecisionVault:
    """The vault alone, without what the other ports load. Raises: Misconfigured."""
    if settings.platform == "local":
        from platforms.local.vault import LocalVault

        return LocalVault(settings.home)
    from platforms.aws.vault import AwsVault

    return AwsVault(_account()[1])


def evidence_from(settings: Settings) -> EvidenceStore:
    """The evidence alone, for whoever serves it. Raises: Misconfigured."""
    if settings.platform == "local":
        from platforms.local.evidence import LocalEvidence

        return LocalEvidence(settings.home, settings.bridge_url)
    from platforms.aws.evidence import AwsEvidence

    return AwsEvidence(_account()[1], settings.bridge_url)


def _account() -> tuple["Aws", "Objects"]:
    """The way to AWS, and homeostat's bucket there. Raises: Misconfigured."""
    from platforms.aws.calls import Aws
    from platforms.aws.objects import Objects
    from platforms.aws.settings import AwsSettings

    try:
        aws = Aws(AwsSettings())
        return aws, Objects(aws)
    except (PlatformError, ValidationError) as error:
        raise Misconfigured(str(error)) from None


def alarm_intake_from(settings: Settings) -> AlarmIntake:
    """The queue that alarms come from; it is SQS on every platform. Raises: Misconfigured."""
    from platforms.aws.calls import Aws
    from platforms.aws.monitor_reports import SageMakerMonitorReports
    from platforms.aws.queue import SqsQueue
    from platforms.aws.settings import AwsSettings

    if not settings.sqs_queue_url:
        raise Misconfigured("no queue is configured: set HOMEOSTAT_SQS_QUEUE_URL to the one that alarms are sent to")
    try:
        aws = Aws(AwsSettings())
    except PlatformError as error:
        raise Misconfigured(str(error)) from None
    dead = settings.sqs_dead_letter_url
    return AlarmIntake(
        queue=SqsQueue(aws, settings.sqs_queue_url),
        rejected=SqsQueue(aws, dead) if dead else None,
        reports=SageMakerMonitorReports(aws),
        endpoint_prefix=aws.settings.endpoint_prefix,
    )


def wake_queue_from(settings: Settings) -> tuple[AlarmQueue, str]:
    """The queue of state changes, and what stands before an endpoint's name in them. Raises: Misconfigured."""
    from platforms.aws.calls import Aws
    from platforms.aws.queue import SqsQueue
    from platforms.aws.settings import AwsSettings

    try:
        aws = Aws(AwsSettings())
    except PlatformError as error:
        raise Misconfigured(str(error)) from None
    return SqsQueue(aws, settings.sqs_wake_url), aws.settings.endpoint_prefix


def checkup_from(settings: Settings) -> Checkup | None:
    """What `doctor` looks at on this platform besides our own processes. Raises: Misconfigured."""
    if settings.platform == "local":
        return None
    from platforms.aws.account import AwsCheckup, Queues
    from platforms.aws.calls import Aws
    from platforms.aws.settings import AwsSettings

    queues = Queues(settings.sqs_queue_url, settings.sqs_dead_letter_url, settings.sqs_most_receives)
    fleet = load(settings.fleet) if settings.fleet else None
    try:
        return AwsCheckup(Aws(AwsSettings()), queues, fleet)
    except PlatformError as error:
        raise Misconfigured(str(error)) from None


def _local(settings: Settings) -> Platform:
    from platforms.alarm_sink import BridgeAlarms
    from platforms.identity.folder import IdentityFolder
    from platforms.identity.verifier import IdentityVerifier
    from platforms.local.audit import LocalAudit
    from platforms.local.bench_store import LocalBenchStore
    from platforms.local.feature_store import LocalFeatureStore
    from platforms.local.inventory import LocalInventory
    from platforms.local.manifests import LocalManifests
    from platforms.local.notifier import LocalNotifier
    from platforms.local.registry import LocalRegistry
    from platforms.local.scorer import LocalScorer
    from platforms.local.serving_port import LocalServing
    from platforms.local.traffic import LocalTrafficLog
    from platforms.local.trainer import LocalTrainer

    home = settings.home
    return Platform(
        features=LocalFeatureStore(home),
        trainer=LocalTrainer(home),
        registry=LocalRegistry(home),
        scorer=LocalScorer(),
        traffic=LocalTrafficLog(home),
        serving=LocalServing(home),
        manifests=LocalManifests(home),
        evidence=evidence_from(settings),
        notifier=LocalNotifier(
            home, settings.ui_url, review_url=settings.review_url, channels=_channels(), signed_link=_signed_link(settings)
        ),
        audit=LocalAudit(home, settings.anchor_dir),
        inventory=LocalInventory(home),
        bench=LocalBenchStore(home),
        alarms=BridgeAlarms(settings.bridge_url, settings.bridge_token.get_secret_value() if settings.bridge_token else None),
        vault=vault_from(settings),
        identity=IdentityVerifier(IdentityFolder(home)),
    )


def _aws(settings: Settings) -> Platform:
    from platforms.alarm_sink import BridgeAlarms
    from platforms.aws.audit import AwsAudit
    from platforms.aws.bench_store import AwsBenchStore
    from platforms.aws.feature_store import AwsFeatureStore
    from platforms.aws.inventory import AwsInventory
    from platforms.aws.manifests import AwsManifests
    from platforms.aws.notifier import AwsNotifier
    from platforms.aws.packaging import Package
    from platforms.aws.registry import AwsRegistry
    from platforms.aws.scorer import AwsScorer
    from platforms.aws.serving import AwsServing
    from platforms.aws.traffic import AwsTrafficLog
    from platforms.aws.trainer import AwsTrainer
    from platforms.identity.folder import IdentityFolder
    from platforms.identity.verifier import IdentityVerifier
    from platforms.notices import WaysIn

    aws, objects = _account()
    package = Package(aws, objects)
    registry = AwsRegistry(aws, objects, package)
    ways = WaysIn(settings.ui_url, settings.review_url, signed_link=_signed_link(settings))
    token = settings.bridge_token.get_secret_value() if settings.bridge_token else None
    return Platform(
        features=AwsFeatureStore(aws, objects),
        trainer=AwsTrainer(aws, objects, package),
        registry=registry,
        scorer=AwsScorer(aws, objects, package),
        traffic=AwsTrafficLog(aws, objects),
        serving=AwsServing(aws, objects, registry, package),
        manifests=AwsManifests(objects),
        evidence=evidence_from(settings),
        notifier=AwsNotifier(objects, ways, _channels()),
        audit=AwsAudit(aws, objects),
        inventory=AwsInventory(aws, objects),
        bench=AwsBenchStore(objects),
        alarms=BridgeAlarms(settings.bridge_url, token),
        vault=vault_from(settings),
        identity=IdentityVerifier(IdentityFolder(settings.home)),
        pace=aws.settings.pace,
    )
