"""The composition root: the only place that says local or aws. Adapters are imported when they are chosen."""

from platforms.ports import DecisionVault, Platform
from runtime.errors import Misconfigured
from runtime.settings import Settings


def platform_from(settings: Settings) -> Platform:
    """Raises: Misconfigured (a platform that isn't built in yet)."""
    if settings.platform == "local":
        return _local(settings)
    raise Misconfigured(f"HOMEOSTAT_PLATFORM is {settings.platform!r}; this version runs on 'local' only")


def vault_from(settings: Settings) -> DecisionVault:
    """The vault alone, without what the other ports load. Raises: Misconfigured."""
    if settings.platform == "local":
        from platforms.local.vault import LocalVault

        return LocalVault(settings.home)
    raise Misconfigured(f"HOMEOSTAT_PLATFORM is {settings.platform!r}; this version runs on 'local' only")


def _local(settings: Settings) -> Platform:
    from platforms.identity.folder import IdentityFolder
    from platforms.identity.verifier import IdentityVerifier
    from platforms.local.alarm_sink import BridgeAlarms
    from platforms.local.audit import LocalAudit
    from platforms.local.bench_store import LocalBenchStore
    from platforms.local.evidence import LocalEvidence
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
        evidence=LocalEvidence(home, settings.bridge_url),
        notifier=LocalNotifier(home, settings.ui_url),
        audit=LocalAudit(home, settings.anchor_dir),
        inventory=LocalInventory(home),
        bench=LocalBenchStore(home),
        alarms=BridgeAlarms(settings.bridge_url, settings.bridge_token.get_secret_value() if settings.bridge_token else None),
        vault=vault_from(settings),
        identity=IdentityVerifier(IdentityFolder(home)),
    )
