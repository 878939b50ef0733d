"""Where on AWS this homeostat lives. Region, credentials and service addresses are botocore's own: `AWS_*`, profiles, roles."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from platforms.pace import Pace


class AwsSettings(BaseSettings):
    """Read once, where the platform is wired."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_AWS_", frozen=True, extra="ignore")

    bucket: str = Field(default="", pattern=r"^$|^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    """Bucket for everything that homeostat keeps; versioned, and the doctor asks for object lock."""
    prefix: str = Field(default="homeostat", pattern=r"^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,18}[a-zA-Z0-9])?$")
    """First part of every key in the bucket and of every name: jobs, models, configurations. Two homeostats in one account differ
    in it."""
    endpoint_prefix: str = Field(default="", pattern=r"^[a-zA-Z0-9-]{0,20}$")
    """Stands before an endpoint's name where its SageMaker endpoint is called otherwise."""
    role: str = ""
    """ARN of the role that training jobs, transform jobs and endpoints run under."""
    kms_key: str = ""
    """ARN of the key for objects and volumes; the bucket's own encryption without one."""
    image: str = ""
    """URI of the container image for training, scoring and serving; empty: asked of the sagemaker SDK for the region."""
    scoring_instance: str = "ml.m5.xlarge"
    """Instance type of batch transform."""
    audit_retention_days: int = Field(default=2557, ge=0)
    """How long audit records are retained, where the bucket has object lock; 0 leaves that to the bucket."""
    audit_lock: Literal["GOVERNANCE", "COMPLIANCE"] = "GOVERNANCE"
    """Whether somebody with the right to may still end the retention."""
    feature_group_prefix: str = Field(default="", pattern=r"^[a-zA-Z0-9-]{0,40}$")
    """Stands before a feature group's name where it is called otherwise than the endpoint's table."""
    scoring: Literal["transform", "worker"] = "transform"
    """Where rows are scored: by batch transform, a job for each table of rows; or in the worker, at once and without a job, which
    the shadow bench with its many small tables wants."""
    athena_workgroup: str = "primary"
    athena_database: str = "sagemaker_featurestore"
    athena_price_per_tb: float = Field(default=5.0, ge=0)
    """Dollars per terabyte scanned, for the record."""
    poll_seconds: float = Field(default=30.0, gt=0)
    """Shortest pause between two looks at a job or an endpoint; the longest is twice that."""
    land_seconds: float = Field(default=30_600.0, gt=0)
    """How long an endpoint update may take before the step fails: AWS ends a deployment after eight hours at most."""
    calls_per_second: float = Field(default=5.0, gt=0)
    """Of one API operation, in one process; objects and records may be read and written many times as often."""

    @property
    def pace(self) -> Pace:
        """A deployment takes minutes to hours, and askers that ask together are throttled."""
        poll = self.poll_seconds
        return Pace(land_seconds=self.land_seconds, land_poll=poll, training_poll=poll, bake_poll=poll, jitter=1.0)
