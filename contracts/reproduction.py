"""A decision taken again from its audit record, check by check."""

from enum import StrEnum

from contracts.base import Contract, Sha256


class Standing(StrEnum):
    """What a check found; each check ends in exactly one."""

    SAME = "same"
    DIFFERS = "differs"
    UNCHECKED = "unchecked"
    """What it takes is gone, or was never recorded."""


class Check(Contract):
    """One thing held against the record. Values are JSON texts, so that two numbers are the same to the last bit or are not."""

    step: str
    """chain, evidence, verdict, retrieval, training, artifact or scores."""
    field: str
    standing: Standing
    recorded: str = ""
    found: str = ""
    why: str = ""


class Reproduction(Contract):
    """Everything that was held against one record."""

    seq: int
    hash: Sha256
    event: str
    endpoint: str
    incident: str
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()
    """What is worth knowing and neither a difference nor a gap."""

    @property
    def outcome(self) -> Standing:
        """A difference weighs more than a gap; only where there is neither, the decision is the same."""
        found = {check.standing for check in self.checks}
        if Standing.DIFFERS in found:
            return Standing.DIFFERS
        return Standing.UNCHECKED if Standing.UNCHECKED in found or not found else Standing.SAME
