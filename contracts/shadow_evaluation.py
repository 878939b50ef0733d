"""What is judged when the shadow bench has the verdict ready: its paired scores, and requests replayed by what would ship."""

from contracts.base import Contract, EndpointName
from contracts.shadow import BenchAdvice
from contracts.snapshot import DataPolicy, Snapshot
from contracts.training import Challenger, ModelCard, Tags


class EvaluateRefit(Contract):
    """Put replayed live requests beside the bench's paired scores, answered by the judged fit and by the refit; keep both."""

    key: str
    endpoint: EndpointName
    incident: str
    snapshot: Snapshot
    advice: BenchAdvice
    """With a judgement, its evidence, and the newest fit of all members."""
    champion: ModelCard | None
    refit: Challenger | None
    """The advised blend on all labels that have arrived: what would ship. None where nothing would: then nothing is replayed."""
    threshold: float
    data: DataPolicy
    tags: Tags | None = None
