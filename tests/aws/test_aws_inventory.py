"""What is temporary on AWS is found by its tags and goes in an order in which nothing is in use; nothing else is touched."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.inventory import Resource
from contracts.training import Tags
from platforms.aws.calls import Aws
from platforms.aws.feature_store import AwsFeatureStore
from platforms.aws.inventory import LEFTOVER, AwsInventory
from platforms.aws.names import name_of, tags_of
from platforms.aws.objects import Objects
from platforms.aws.tagged_resources import TaggedResources
from platforms.aws.trainer import AwsTrainer
from platforms.files import json_bytes
from platforms.tagged import TAGS, Tagged
from tests.aws.fixtures import IMAGE, new_account
from tests.aws.offline_store import OfflineStore
from tests.aws.simulator import Simulator
from tests.platforms.data_fixtures import DATA, hourly, lenient, long_job, take
from tests.platforms.data_fixtures import TAGS as OWNER

OTHER = OWNER.model_copy(update={"incident": "20120305T000000Z-aaaaaa"})


@pytest.fixture
def inventory(aws: Aws, objects: Objects) -> AwsInventory:
    return AwsInventory(aws, objects)


def _folder(objects: Objects, place: str, owner: Tags = OWNER, kind: str = "snapshot") -> str:
    objects.put(f"{place}/{TAGS}", json_bytes(Tagged.of(owner, kind)))
    objects.put(f"{place}/sub/data", b"x" * 1000)
    return place


def _model(aws: Aws, owner: Tags = OWNER, *, key: str = "k", **more: str) -> str:
    """A SageMaker model with tags, as something temporary is made; returns its ARN."""
    name = name_of(aws.settings.prefix, owner.endpoint, "score", key)
    tags = [{"Key": tag, "Value": value} for tag, value in (tags_of(owner, key) | more).items()]
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{aws.settings.bucket}/model.tar.gz"}
    aws.client("s3").put_object(Bucket=aws.settings.bucket, Key="model.tar.gz", Body=b"x")
    made = aws.call(
        "sagemaker", "create_model", ModelName=name, PrimaryContainer=container, ExecutionRoleArn=aws.settings.role, Tags=tags
    )
    return str(made["ModelArn"])


def named(identity: str) -> Resource:
    return Resource(id=identity, kind="x", tags=OWNER, created=datetime.now(UTC))


def test_an_empty_account_holds_nothing(inventory: AwsInventory) -> None:
    assert list(inventory.list()) == []


def test_a_snapshot_is_listed_with_its_tags_and_goes_with_its_incident(aws: Aws, objects: Objects) -> None:
    OfflineStore(aws).append("bikes", hourly(60))
    AwsFeatureStore(aws, objects).snapshot(take(data=DATA.model_copy(update={"coverage": lenient()})))
    inventory = AwsInventory(aws, objects)
    (found,) = inventory.list(OWNER)
    assert (found.kind, found.tags) == ("snapshot", OWNER)
    assert found.bytes > 10_000
    assert inventory.remove([found]).failed == ()
    assert list(objects.keys("snapshots/")) == []


def test_one_incidents_things_are_listed_alone_and_the_rest_stays(aws: Aws, objects: Objects, inventory: AwsInventory) -> None:
    mine, other = _folder(objects, "snapshots/0123456789abcdef"), _folder(objects, "snapshots/fedcba9876543210", OTHER)
    model, kept = _model(aws), _model(aws, OTHER, key="other")
    assert {each.id for each in inventory.list(OWNER)} == {mine, model}
    assert {each.id for each in inventory.list()} >= {mine, other, model, kept}
    removal = inventory.remove(inventory.list(OWNER))
    assert (len(removal.removed), removal.failed) == (2, ())
    assert {each.id for each in inventory.list()} == {other, kept}
    assert inventory.remove(removal.removed).removed == removal.removed, "what is gone already counts as removed"


def test_a_running_job_and_its_folder_are_kept_and_go_once_it_was_stopped(
    aws: Aws, objects: Objects, inventory: AwsInventory, simulator: Simulator
) -> None:
    OfflineStore(aws).append("bikes", hourly(60))
    snapshot = AwsFeatureStore(aws, objects).snapshot(take(data=DATA.model_copy(update={"coverage": lenient()})))
    wanted = long_job(snapshot)
    trainer = AwsTrainer(aws, objects)
    trainer.start(wanted)
    found = [each for each in inventory.list(OWNER) if each.kind == "training_job"]
    assert sorted(each.id.partition(":")[0].partition("/")[0] for each in found) == ["arn", "jobs"]
    failed = inventory.remove(found).failed
    assert [reason.rpartition(": ")[2] for reason in failed] == ["still running. Stop the job, then remove it"] * 2
    trainer.stop(wanted.key)
    assert inventory.remove(inventory.list(OWNER)).failed == ()
    assert list(inventory.list()) == []
    assert list(objects.keys("jobs/")) == []


def test_things_of_nobodys_incident_are_let_be_for_a_day_and_those_of_another_homeostat_always(
    aws: Aws, inventory: AwsInventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    _model(aws, OWNER.model_copy(update={"incident": ""}), key="bare")
    _model(new_account(), key="foreign")
    assert list(inventory.list()) == []
    monkeypatch.setattr("platforms.aws.tagged_resources._LET_BE", timedelta(days=-3650))
    assert [each.tags.incident for each in inventory.list()] == [""]


def test_folders_without_readable_tags_are_leftovers_once_they_are_old(
    objects: Objects, inventory: AwsInventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.put("snapshots/0123456789abcdef/attempts/0001", b"")
    objects.put("jobs/0123456789abcdef/tags.json", b"{")
    objects.put("queries/0123456789abcdef/a", b"")
    objects.put("vault/" + "a" * 64, b"token")
    assert list(inventory.list()) == []
    monkeypatch.setattr("platforms.aws.inventory._AGES", dict.fromkeys(("jobs", "snapshots", "queries"), timedelta(0)))
    monkeypatch.setattr("platforms.aws.inventory._EXPIRED", timedelta(0))
    listed = inventory.list()
    assert sorted(each.kind for each in listed) == [LEFTOVER] * 3 + ["ticket"]
    assert list(inventory.list(OWNER)) == []
    assert inventory.remove(listed).failed == ()
    assert list(objects.keys("")) == []


@pytest.mark.parametrize(
    "identity",
    [
        "",
        "..",
        "audit/000000000001.json",
        "jobs",
        "jobs/",
        "jobs/../audit",
        "snapshots/a/b",
        "vault/x",
        "manifests/bikes",
        "arn:aws:sagemaker:eu-west-1:123456789012:model/somebody-elses",
        "arn:aws:s3:::bucket",
        "jobs/0123456789abcdef\n",
    ],
)
def test_nothing_but_what_is_temporary_can_be_removed(objects: Objects, inventory: AwsInventory, identity: str) -> None:
    kept = ["audit/000000000001.json", "manifests/bikes/000001.json", "jobs/a/x"]
    for key in kept:
        objects.put(key, b"x")
    assert "nothing was removed" in inventory.remove([named(identity)]).failed[0]
    assert sorted(objects.keys("")) == sorted(kept)


def test_a_removal_that_broke_off_is_found_again_under_its_tags(
    objects: Objects, inventory: AwsInventory, simulator: Simulator
) -> None:
    folder = _folder(objects, "snapshots/0123456789abcdef")
    simulator.fault("s3", "DeleteObject", "timeout_after", after=0)
    assert len(inventory.remove(inventory.list(OWNER)).failed) == 1
    (found,) = inventory.list(OWNER)
    assert found.id == folder
    assert inventory.remove([found]).failed == ()
    assert list(objects.keys("snapshots/")) == []


def test_a_tagged_listing_reads_every_page(aws: Aws) -> None:
    """https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html"""
    made = {_model(aws, key=str(n)) for n in range(3)}
    found: set[str] = set()
    asked: dict[str, Any] = {"TagFilters": [{"Key": "homeostat:key", "Values": ["0", "1", "2"]}], "ResourcesPerPage": 1}
    for page in aws.pages("resourcegroupstaggingapi", "get_resources", **asked):
        found |= {each["ResourceARN"] for each in page["ResourceTagMappingList"]}
    assert made <= found
    assert made <= {each.id for each in TaggedResources(aws).list(OWNER)}
