"""What a cloud team has on AWS before homeostat comes: the stack of deploy/aws, a feature group with a year of rows, two alarms.

Everything here is plain boto3, as somebody else's code would be; it is no part of the loop.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from demo.aws_place import COLUMNS, DATA_BUCKET, GROUP, NAMESPACE, REGION, STACK
from demo.data import LABEL, LABEL_DELAY, Hours
from platforms.errors import NotFound

TEMPLATE: Final = Path(__file__).resolve().parents[1] / "deploy" / "aws" / "homeostat.yaml"
ACCURACY_ALARM, ERRORS_ALARM = "homeostat-bikes-accuracy", "bikes-errors"
_DIMENSIONS: Final = [{"Name": "EndpointName", "Value": "bikes"}]


@dataclass
class Account:
    """One account, reached at `environment`'s address."""

    environment: Mapping[str, str]

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        own = self.environment
        return boto3.client(
            service,
            endpoint_url=own["AWS_ENDPOINT_URL"],
            region_name=own["AWS_REGION"],
            aws_access_key_id=own["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=own["AWS_SECRET_ACCESS_KEY"],
        )

    def deploy_stack(self) -> dict[str, str]:
        """Create the stack; returns its outputs by name."""
        formation = self.client("cloudformation")
        arn = f"arn:aws:s3:::{DATA_BUCKET}"
        formation.create_stack(
            StackName=STACK,
            TemplateBody=TEMPLATE.read_text(),
            Parameters=[{"ParameterKey": "DataBuckets", "ParameterValue": f"{arn},{arn}/*"}],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        stack = formation.describe_stacks(StackName=STACK)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def make_feature_group(self, role: str) -> None:
        """Its offline store lies in a bucket of the data team."""
        self.client("s3").create_bucket(Bucket=DATA_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        kinds = {"id": "String", "event_time": "String", LABEL: "Integral", **dict.fromkeys(COLUMNS, "Fractional")}
        self.client("sagemaker").create_feature_group(
            FeatureGroupName=GROUP,
            RecordIdentifierFeatureName="id",
            EventTimeFeatureName="event_time",
            FeatureDefinitions=[{"FeatureName": name, "FeatureType": kind} for name, kind in kinds.items()],
            OfflineStoreConfig={"S3StorageConfig": {"S3Uri": f"s3://{DATA_BUCKET}/feature-store"}},
            RoleArn=role,
        )

    def ingest(self, hours: Hours) -> None:
        """Rows with their labels, as a bulk ingestion writes them: Parquet in the offline store's own layout, a file a day.

        A label is written when its hour is over, so a row's write time is the time at which its label became known.
        """
        s3 = self.client("s3")
        bucket, folder = self._offline_store()
        for day, rows in _by_day(hours).items():
            partition = f"year={day:%Y}/month={day:%m}/day={day:%d}/hour=00"
            content = io.BytesIO()
            pq.write_table(_as_stored(rows), content)
            s3.put_object(Bucket=bucket, Key=f"{folder}/{partition}/{rows.ids[0]}-{len(rows)}.parquet", Body=content.getvalue())

    def watch_quality(self, least: float) -> None:
        """An alarm on the weekly accuracy, which somebody's job publishes."""
        self.client("cloudwatch").put_metric_alarm(
            AlarmName=ACCURACY_ALARM,
            AlarmDescription="Weekly accuracy of the busy-hour forecast, measured on the labels that have come",
            Namespace=NAMESPACE,
            MetricName="Accuracy",
            Dimensions=_DIMENSIONS,
            Statistic="Minimum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=least,
            ComparisonOperator="LessThanThreshold",
            TreatMissingData="missing",
            Tags=[{"Key": "homeostat:endpoint", "Value": "bikes"}],
        )

    def watch_errors(self) -> None:
        """An alarm that guards deployments."""
        self.client("cloudwatch").put_metric_alarm(
            AlarmName=ERRORS_ALARM,
            Namespace="AWS/SageMaker",
            MetricName="Invocation5XXErrors",
            Dimensions=[*_DIMENSIONS, {"Name": "VariantName", "Value": "champion"}],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
        )

    def publish_accuracy(self, value: float) -> None:
        """What the team's own quality job says of the last week."""
        self.client("cloudwatch").put_metric_data(
            Namespace=NAMESPACE,
            MetricData=[{"MetricName": "Accuracy", "Dimensions": _DIMENSIONS, "Value": value}],
        )

    def waiting(self, queue: str) -> int:
        """Messages in a queue."""
        found = self.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
        return int(found["Attributes"]["ApproximateNumberOfMessages"])

    def _offline_store(self) -> tuple[str, str]:
        """Bucket and key prefix of the group's rows. Raises: NotFound."""
        group = self.client("sagemaker").describe_feature_group(FeatureGroupName=GROUP)
        uri = group["OfflineStoreConfig"]["S3StorageConfig"].get("ResolvedOutputS3Uri")
        if not uri:
            raise NotFound(f"feature group {GROUP} says nowhere to write")
        bucket, _, folder = uri.removeprefix("s3://").partition("/")
        return bucket, folder.rstrip("/")


def _by_day(hours: Hours) -> dict[datetime, Hours]:
    days = sorted({when.replace(hour=0, minute=0, second=0, microsecond=0) for when in hours.event_time})
    return {day: hours.between(day, day + timedelta(days=1)) for day in days}


def _as_stored(hours: Hours) -> pa.Table:
    moments = pa.timestamp("ms", tz="UTC")
    known = [when + LABEL_DELAY for when in hours.event_time]
    columns = {
        "id": pa.array(hours.ids),
        "event_time": pa.array([f"{when:%Y-%m-%dT%H:%M:%SZ}" for when in hours.event_time]),
        LABEL: pa.array(hours.busy.astype("int64")),
        **{name: pa.array(hours.features[:, i]) for i, name in enumerate(COLUMNS)},
        "write_time": pa.array(known, moments),
        "api_invocation_time": pa.array(known, moments),
        "is_deleted": pa.array([False] * len(hours)),
    }
    return pa.table(columns)
