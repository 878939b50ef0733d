"""What a judgement tells beside the metrics: slices, power, and what unlabelled rows promise."""

from typing import Literal

from contracts.base import Contract


class SliceComparison(Contract):
    """The primary metric of both models on the rows where `feature` has one value."""

    feature: str
    value: str
    rows: int
    days: int
    """Days with at least one row."""
    champion: float = 0.0
    challenger: float = 0.0
    gain: float = 0.0
    """Positive where the challenger is better, absolute."""
    low: float = 0.0
    """Ends of the day-block interval of the gain, of this slice alone, level 1 - alpha, by Student's t."""
    high: float = 0.0
    harm: float = 1.0
    """Chance to see a gain so low although the slice is worse by no more than its margin; corrected by Holm over all tests."""
    held: bool = True
    """False where the slice is worse by more than its margin beyond chance."""
    evaluable: bool = True
    why_not: str = ""
    """What the slice lacks, where it isn't evaluable."""


class Estimate(Contract):
    """A metric that the scores themselves promise on rows without a label, if both models are calibrated. Decides nothing."""

    metric: str
    part: Literal["holdout", "replay"]
    rows: int
    champion: float
    challenger: float


class Power(Contract):
    """What this sample could have shown."""

    probability: float
    """With this probability ..."""
    gain: float
    """... the gate would have passed a true gain of the primary metric of at least this size, absolute ..."""
    relative: float
    """... and as a share of the champion's figure."""
    standard_error: float
    """Of the primary's gain, from its blocks."""
    least_gain: float
    """The observed gain that the gate wants on this sample, absolute: the larger of least effect and least t."""
    sentence: str
