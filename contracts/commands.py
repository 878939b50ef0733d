"""What a person types, word for word the same in a notice and in the report behind its link."""


def decisions(endpoint: str, incident: str, evidence: str) -> dict[str, str]:
    """The digest binds the decision to what was shown."""
    name = f"{endpoint}/{incident}"
    return {
        "approve": f'python starter.py approve {name} --evidence {evidence} --note "why"',
        "reject": f'python starter.py reject {name} --evidence {evidence} --note "why"',
        "roll back": rollback(endpoint),
    }


def rollback(endpoint: str) -> str:
    return f'python starter.py rollback {endpoint} --reason "why"'


def reproduction(endpoint: str, incident: str) -> str:
    """Once the decision stands in the audit chain."""
    return f"python starter.py reproduce {endpoint}/{incident}"
