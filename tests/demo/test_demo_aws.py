"""The demo against the simulated account, piece by piece; `make demo PLATFORM=aws-sim` plays it whole."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.incident import Outcome
from demo import __main__ as command
from demo.aws_place import COLUMNS, FLEET_FILE, find_aws_place
from demo.aws_report import AwsSummary, Weekly, claims, last_before
from demo.aws_run import WEEKS_BEFORE, ending_now
from demo.data import FIRST_DAYS, WEEK, load_hours
from demo.summary import Audit
from runtime.fleet_file import load


def summary(**changes: object) -> AwsSummary:
    given = {
        "weeks": 32, "requests": 5376, "accuracy_before": 0.78, "accuracy_after": 0.92,
        "outcomes": (Outcome.PROMOTED.value,) * 2, "training_jobs": 4, "transform_jobs": 7, "endpoint_updates": 2,
        "messages_deleted": 1, "dead_letters": 0, "api_calls": {}, "audit": Audit(records=4, verified=True), "temporary_resources_left": 0,
    }  # fmt: skip
    return AwsSummary.model_validate(given | changes)


def test_a_good_run_holds_every_claim() -> None:
    assert [claim.name for claim in claims(summary()) if not claim.holds] == []


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({"messages_deleted": 0}, "came through EventBridge and SQS"),
        ({"dead_letters": 1}, "no alarm was lost"),
        ({"outcomes": (Outcome.PROMOTED.value, Outcome.HELD.value)}, "were promoted"),
        ({"accuracy_after": 0.7}, "more accurate"),
        ({"training_jobs": 5}, "trained its two models and no more"),
        ({"temporary_resources_left": 3}, "nothing temporary"),
        ({"audit": Audit(records=4, verified=False)}, "audit chain"),
    ],
)
def test_each_claim_can_fail(change: dict[str, object], broken: str) -> None:
    (claim,) = [claim for claim in claims(summary(**change)) if not claim.holds]
    assert broken in claim.name


def test_the_data_end_now_so_that_the_alarms_time_is_the_datas() -> None:
    data = ending_now(load_hours(), WEEKS_BEFORE)
    alarm = data.event_time[0].replace(hour=0) + FIRST_DAYS + WEEK * WEEKS_BEFORE
    behind = datetime.now(UTC) - data.between(alarm - timedelta(days=1), alarm).event_time[-1]
    assert timedelta(0) < behind < timedelta(hours=26)


def test_the_week_before_is_the_last_that_another_champion_answered() -> None:
    old, new, both = frozenset({"a"}), frozenset({"b"}), frozenset({"a", "b"})
    weeks = [Weekly(0.9, old), Weekly(0.7, old), Weekly(0.8, both), Weekly(0.95, new)]
    assert last_before(weeks) is weeks[1]
    assert last_before(weeks[:1]) is None


def test_the_fleet_file_names_the_columns_of_the_feature_group() -> None:
    assert load(FLEET_FILE).endpoints["bikes"].data.features == COLUMNS


def test_no_credential_of_the_surrounding_shell_reaches_the_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of a real account")
    outputs = dict.fromkeys(("TrainingRoleArn", "BucketName", "KeyArn", "QueueUrl", "DeadLetterUrl"), "x")
    place = find_aws_place(tmp_path)
    environment = place.environment(outputs)
    assert environment["AWS_PROFILE"] is None
    assert environment["AWS_SESSION_TOKEN"] is None
    assert str(environment["AWS_ENDPOINT_URL"]).startswith("http://127.0.0.1:")


@pytest.mark.parametrize(("words", "why"), [(["--review", "me"], "scripted reviewer"), (["--weeks", "2"], "first 2 weeks")])
def test_what_the_run_on_the_account_cannot_do_is_refused(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--platform", "aws-sim", *words])
    assert ended.value.code == 2
    assert why in capsys.readouterr().err
