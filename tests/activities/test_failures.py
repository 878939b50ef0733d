"""The one translator: which of a platform's errors are tried again, and under which name Temporal sees them."""

import dataclasses
import inspect
import time
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities.failures import not_yet, to_application_error, translated
from contracts.inventory import CleanUp
from contracts.training import Tags
from platforms import errors
from platforms.errors import PlatformError
from platforms.patience import tick, working_for

RETRIED = {
    "PlatformError": True,
    "Unavailable": True,
    "Exhausted": True,
    "Conflict": False,
    "Invalid": False,
    "NotFound": False,
    "Corrupt": False,
    "TrainingFailed": False,
}
TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, PlatformError)]


def test_the_table_names_every_error_of_the_tree() -> None:
    assert {kind.__name__ for kind in TREE} == RETRIED.keys()


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_an_error_keeps_its_name_and_words_and_is_tried_again_only_where_that_can_mend_it(kind: type[PlatformError]) -> None:
    error = to_application_error(kind("disk /data is full: free 3 MB"))
    assert error.type == kind.__name__
    assert error.message == "disk /data is full: free 3 MB"
    assert error.non_retryable is not RETRIED[kind.__name__]


def test_a_translated_step_keeps_its_cause_and_lets_bugs_through() -> None:
    @translated
    def step(error: Exception) -> None:
        raise error

    with pytest.raises(ApplicationError) as seen:
        step(errors.Corrupt("model.json was changed"))
    assert isinstance(seen.value.__cause__, errors.Corrupt)
    with pytest.raises(ZeroDivisionError):
        step(ZeroDivisionError())


def test_not_yet_asks_for_a_pause_and_alarms_nobody() -> None:
    error = not_yet("no label has arrived yet", timedelta(hours=6))
    assert error.next_retry_delay == timedelta(hours=6)
    assert error.category is ApplicationErrorCategory.BENIGN
    assert not error.non_retryable


def _environment(timeout: timedelta | None) -> tuple[ActivityEnvironment, list[object]]:
    environment, heard = ActivityEnvironment(), list[object]()
    environment.info = dataclasses.replace(environment.info, heartbeat_timeout=timeout)
    environment.on_heartbeat = lambda *details: heard.append(details)
    return environment, heard


def test_a_step_that_blocks_is_heard_of_where_its_options_ask_for_it() -> None:
    for timeout, beats in ((timedelta(milliseconds=80), True), (None, False)):
        environment, heard = _environment(timeout)
        environment.run(translated(lambda: time.sleep(0.2)))
        assert bool(heard) is beats


def test_an_adapter_that_ticks_between_two_looks_sends_heartbeats_and_outside_of_a_step_nothing() -> None:
    environment, heard = _environment(None)
    environment.run(translated(lambda: [tick() for _ in range(3)]))
    assert len(heard) == 3
    tick()
    translated(tick)()
    assert len(heard) == 3


def test_an_adapter_knows_for_whom_it_works_while_the_step_runs() -> None:
    tags = Tags(endpoint="bikes", incident="i", team="mobility", cost_center="m-1")
    assert translated(lambda request: working_for())(CleanUp(tags=tags, job_keys=())) == tags
    assert translated(lambda endpoint: working_for())("bikes") is None
    assert working_for() is None


def test_where_a_person_has_to_act_first_the_pause_is_the_errors_own() -> None:
    error = errors.Exhausted("no quota")
    assert to_application_error(error).next_retry_delay is None
    error.pause = timedelta(minutes=5)
    assert to_application_error(error).next_retry_delay == timedelta(minutes=5)
