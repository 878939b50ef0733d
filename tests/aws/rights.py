"""The worker's role in deploy/aws/homeostat.yaml is what the code calls: `python -m tests.aws.rights` writes its actions."""

import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

from platforms.aws.call_table import CALLS
from tests.aws.calls_document import ROOT, asked

TEMPLATE: Final = ROOT / "deploy" / "aws" / "homeostat.yaml"
BRIDGE: Final = frozenset({"platforms/aws/queue.py", "platforms/aws/monitor_reports.py"})
DOCTOR: Final = frozenset({"platforms/aws/account.py", "platforms/aws/account_alarms.py", "platforms/aws/account_data.py"})
"""What `doctor` asks, with the rights of whoever runs it."""
ALWAYS: Final = frozenset(
    {
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "sns:Publish",
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:ReceiveMessage",
    }
)
"""Encrypted objects are read and written, notices go to a topic by a client of its own, and workers hear of state changes."""
_OF_ONE: Final = {
    "s3": "S3",
    "kms": "Kms",
    "iam:PassRole": "PassRole",
    "iam:CreateServiceLinkedRole": "LinkedRole",
    "athena": "Athena",
    "sns": "Sns",
    "sqs": "WakeUps",
}
_READING: Final = re.compile(r"sagemaker:(?:Describe|List|Get|BatchGet|BatchDescribe|Search)")
_STATEMENTS: Final = """\
              - Sid: S3
                Effect: Allow
                Resource: !If
                  - ReadsMore
                  - !Split [",", !Join [",", [!GetAtt Bucket.Arn, !Sub "${Bucket.Arn}/*", !Join [",", !Ref DataBuckets]]]]
                  - [!GetAtt Bucket.Arn, !Sub "${Bucket.Arn}/*"]
              - Sid: Kms
                Effect: Allow
                Resource: !GetAtt Key.Arn
              - Sid: PassRole
                Effect: Allow
                Resource: !GetAtt TrainingRole.Arn
                Condition: { StringEquals: { "iam:PassedToService": sagemaker.amazonaws.com } }
              - Sid: LinkedRole # made by AWS with the first scalable target of an account
                Effect: Allow
                Resource: !Sub "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/aws-service-role/*"
                Condition: { StringEquals: { "iam:AWSServiceName": sagemaker.application-autoscaling.amazonaws.com } }
              - Sid: SagemakerRead
                Effect: Allow
                Resource: "*"
              - Sid: SagemakerWrite
                Effect: Allow
                Resource:
                  - !Sub "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:*/${Prefix}-*"
                  - !Sub "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint/${EndpointPattern}"
              - Sid: Athena
                Effect: Allow
                Resource: !Sub "arn:${AWS::Partition}:athena:${AWS::Region}:${AWS::AccountId}:workgroup/*"
              - Sid: Sns
                Effect: Allow
                Resource: !Ref NoticeTopic
              - Sid: WakeUps
                Effect: Allow
                Resource: !GetAtt WakeQueue.Arn
              - Sid: Rest # reading metrics, tables and tags, and scalable targets, which have no names of their own
                Effect: Allow
                Resource: "*"
"""
"""Where the actions may be used. A statement without actions is left out."""


def rights(files: frozenset[str] | None = None) -> set[str]:
    """Actions of all calls that are made in one of `files`; without them, of all that the worker makes."""
    found = set()
    for call, places in asked().items():
        mine = places & files if files is not None else places - BRIDGE - DOCTOR
        if mine and call in CALLS:
            found |= set(CALLS[call].permissions)
    return found


def statements() -> dict[str, list[str]]:
    """The worker's actions by statement."""
    found: dict[str, list[str]] = defaultdict(list)
    for action in sorted(rights() | ALWAYS):
        service = action.partition(":")[0]
        if service == "sagemaker":
            found["SagemakerRead" if _READING.match(action) else "SagemakerWrite"].append(action)
        else:
            found[_OF_ONE.get(action) or _OF_ONE.get(service, "Rest")].append(action)
    return found


def rendered(text: str) -> str:
    """The template with these actions."""
    start = text.index("            Statement:\n", text.index("        - PolicyName: worker")) + len("            Statement:\n")
    end = text.index("  BridgeRole:")
    wanted = statements()
    parts = []
    for each in re.split(r"(?=^              - Sid: )", _STATEMENTS, flags=re.MULTILINE):
        sid = re.match(r"\s+- Sid: (\w+)", each)
        if sid and wanted.get(sid[1]):
            listed = "".join(f"                  - {action}\n" for action in wanted[sid[1]])
            parts.append(f"{each}                Action:\n{listed}")
    return text[:start] + "".join(parts) + text[end:]


def main() -> int:
    path = Path(TEMPLATE)
    path.write_text(rendered(path.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
