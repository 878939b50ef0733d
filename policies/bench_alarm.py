"""What the bench's advice calls for: an alarm of improvement foregone, of a champion that runs high or low, or none."""

from contracts.alarm import Alarm, AlarmKind, Reading, Severity
from contracts.evaluation import Judgement, Verdict
from contracts.ids import bench_alarm
from contracts.shadow import BenchAdvice, Shift

SOURCE = "shadow-bench"


def alarm_of(advice: BenchAdvice) -> Alarm | None:
    """The same advice always makes the same alarm. An endpoint without a champion is told of by people: they onboard it."""
    if advice.champion is None:
        return None
    if advice.judgement is not None and advice.judgement.verdict is Verdict.PROMOTE:
        return _improvement(advice, advice.judgement)
    if advice.recalibration is not None and advice.recalibration.changed:
        return _calibration(advice, advice.recalibration)
    return None


def sentence_of(advice: BenchAdvice) -> str:
    """What a turn found, for people."""
    if advice.champion is None:
        return f"No champion is in service yet; the record is kept. Best blend so far: {advice.blend}."
    found = advice.reason if advice.judgement is None else advice.judgement.sentence
    recalibration = advice.recalibration
    if recalibration is None or not recalibration.changed:
        return found
    return f"{found} The champion's scores should be shifted by {_shown(recalibration.shift)}."


def _improvement(advice: BenchAdvice, judgement: Judgement) -> Alarm:
    primary = next((one for one in judgement.comparisons if one.metric == judgement.primary), None)
    reading = Reading(
        name=judgement.primary,
        value=primary.champion if primary else None,
        reference=primary.challenger if primary else None,
    )
    return _alarm(
        advice,
        AlarmKind.IMPROVEMENT,
        f"A challenger ({advice.blend}: {', '.join(advice.members)}) would have served better. {judgement.sentence}",
        (reading,),
    )


def _calibration(advice: BenchAdvice, wanted: Shift) -> Alarm:
    if wanted.on:
        what = f"The champion's scores run high or low: a shift by {_shown(wanted.shift)} would have gained {wanted.gain:.1%}."
    else:
        what = f"The champion's shift no longer helps (gain {wanted.gain:.1%}): it should go."
    return _alarm(advice, AlarmKind.CALIBRATION, what, (Reading(name="recalibration_gain", value=wanted.gain),))


def _alarm(advice: BenchAdvice, kind: AlarmKind, message: str, readings: tuple[Reading, ...]) -> Alarm:
    return Alarm(
        id=bench_alarm(advice.endpoint, kind.value, advice.as_of),
        endpoint=advice.endpoint,
        kind=kind,
        as_of=advice.as_of,
        severity=Severity.LOW,
        source=SOURCE,
        message=message[:4000],
        metrics=readings,
    )


def _shown(shift: tuple[float, ...]) -> str:
    return ", ".join(f"{number:+.2f}" for number in shift)
