"""The audit chain in S3: killed at any of its writes, raced by other processes, cut off or rewritten from outside."""

from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex

import pytest

from contracts.audit import AuditRecord
from platforms.aws.audit import AwsAudit
from platforms.aws.calls import Aws
from platforms.aws.objects import Objects
from platforms.errors import Corrupt, PlatformError
from tests.aws.fixtures import new_account
from tests.aws.simulator import Simulator
from tests.platforms.records_fixtures import entry


def _audit(aws: Aws) -> AwsAudit:
    """As another process opens it."""
    return AwsAudit(aws, Objects(aws))


def _tried_again(aws: Aws, n: int) -> AuditRecord:
    try:
        return _audit(aws).append(entry(n))
    except PlatformError:
        return _audit(aws).append(entry(n))


@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after"])
@pytest.mark.parametrize("write", [0, 1, 2], ids=["record", "pointer", "anchor"])
def test_an_append_that_dies_at_any_write_is_one_record_when_it_is_tried_again(
    aws: Aws, simulator: Simulator, kind: str, write: int
) -> None:
    _audit(aws).append(entry(1))
    simulator.fault("s3", "PutObject", kind, after=write)
    assert _tried_again(aws, 2).seq == 2
    found = _audit(aws).verify()
    assert (found.verified, found.records, found.notes) == (True, 2, ())


@pytest.mark.parametrize("write", [0, 1, 2], ids=["record", "pointer", "anchor"])
def test_what_a_dead_writer_left_is_settled_by_the_next_one_and_still_found_by_its_key(
    aws: Aws, simulator: Simulator, write: int
) -> None:
    simulator.fault("s3", "PutObject", "timeout_after", after=write)
    with pytest.raises(PlatformError):
        _audit(aws).append(entry(1))
    assert _audit(aws).verify().verified
    assert _audit(aws).append(entry(2)).seq == 2
    assert _audit(aws).append(entry(1)).seq == 1
    assert _audit(aws).verify().notes == ()


def test_stores_that_append_at_once_make_one_chain(aws: Aws) -> None:
    def write(name: str) -> list[int]:
        audit = _audit(aws)
        return [audit.append(entry(n, key=f"{name}/{n}")).seq for n in range(4)]

    with ThreadPoolExecutor(3) as pool:
        first, second, other = pool.map(write, ("shared", "shared", "other"))
    assert first == second
    assert sorted(first + other) == list(range(1, 9))
    assert _audit(aws).verify().verified


def test_a_chain_whose_end_was_cut_off_takes_no_record_and_says_so(aws: Aws, objects: Objects) -> None:
    for n in range(3):
        _audit(aws).append(entry(n))
    objects.remove("audit/000000000003.json")
    with pytest.raises(Corrupt, match="its end was cut off"):
        _audit(aws).append(entry(9))
    assert "truncated: record 3 is missing" in _audit(aws).verify().faults[0].what


def test_a_lost_anchor_is_missed(aws: Aws, objects: Objects) -> None:
    for n in range(3):
        _audit(aws).append(entry(n))
    objects.remove_all("anchors/")
    with pytest.raises(Corrupt, match="3 records stand beyond the anchor"):
        _audit(aws).append(entry(9))
    assert "the anchor is missing" in _audit(aws).verify().faults[0].what


def test_a_rewritten_record_is_named_and_nothing_is_appended_behind_it(aws: Aws, objects: Objects) -> None:
    audit = _audit(aws)
    for n in range(2):
        audit.append(entry(n))
    line = objects.get("audit/000000000002.json")
    objects.put("audit/000000000002.json", line.replace(b'"gain":0.1', b'"gain":0.2'))
    with pytest.raises(Corrupt, match=r"000000000002\.json can't be read: edited"):
        _audit(aws).append(entry(9))
    assert [fault.seq for fault in _audit(aws).verify().faults] == [2]


def test_records_and_anchors_are_retained_where_the_bucket_can(aws: Aws) -> None:
    bucket = f"locked-{token_hex(4)}"
    aws.client("s3").create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": aws.region}, ObjectLockEnabledForBucket=True
    )
    locked = Aws(aws.settings.model_copy(update={"bucket": bucket}))
    _audit(locked).append(entry(1))
    for key in Objects(locked).keys(""):
        found = aws.client("s3").head_object(Bucket=bucket, Key=Objects(locked).key(key))
        assert found["ObjectLockMode"] == "GOVERNANCE"
        assert (found["ObjectLockRetainUntilDate"] - found["LastModified"]).days >= 7 * 365


def test_two_homeostats_in_one_bucket_keep_two_chains(aws: Aws) -> None:
    other = new_account(prefix="other")
    _audit(aws).append(entry(1))
    assert list(_audit(other).read()) == []
