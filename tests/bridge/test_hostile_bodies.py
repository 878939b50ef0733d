"""Whatever bytes arrive, the parsers answer with items or with a BodyError; an alarm that comes out can be forwarded."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.answers import Result, Told, results
from bridge.formats import BATCH, EVENT, JSON, items_from
from bridge.items import BodyError, Item, Monitored, Refused, Understood
from bridge.routing import Routes
from contracts.alarm import Alarm

TEXTS = st.text(max_size=12) | st.sampled_from(
    ["bikes", "firing", "resolved", "4", "1.0", "2012-03-04T05:00:00Z", "ALARM", "\ud800", "{}", "[[", "1e999"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
NAMES = st.sampled_from(
    [
        "id",
        "endpoint",
        "kind",
        "as_of",
        "severity",
        "metrics",
        "labels",
        "message",
        "trace",
        "alerts",
        "version",
        "status",
        "startsAt",
        "fingerprint",
        "annotations",
        "value",
        "specversion",
        "source",
        "type",
        "time",
        "data",
        "data_base64",
        "subject",
        "detail-type",
        "detail",
        "alarmName",
        "alarmTags",
        "configuration",
        "state",
        "reasonData",
        "timestamp",
        "dimensions",
        "metricStat",
        "metric",
        "name",
        "resources",
        "previousState",
        "EndpointName",
        "EndpointStatus",
        "ProcessingJobName",
        "ProcessingJobStatus",
        "Tags",
        "AlarmName",
        "AlarmArn",
        "NewStateValue",
        "OldStateValue",
        "StateChangeTime",
        "Trigger",
        "Dimensions",
        "Metrics",
        "TriggeringChildren",
        "Type",
        "Message",
        "triggeringAlarms",
        "arn",
    ]
)
VALUES = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES | TEXTS, below, max_size=5), max_leaves=15
)
ALERTS = st.fixed_dictionaries(
    {
        "alerts": st.lists(
            st.dictionaries(NAMES, VALUES) | st.fixed_dictionaries({"labels": st.dictionaries(NAMES, VALUES)}), max_size=3
        )
    }
)
DETAIL = st.dictionaries(NAMES, VALUES) | st.fixed_dictionaries({"alarmName": TEXTS, "state": st.dictionaries(NAMES, VALUES)})
KINDS = st.sampled_from(
    [
        "CloudWatch Alarm State Change",
        "CloudWatch Alarm Configuration Change",
        "SageMaker Endpoint State Change",
        "SageMaker Processing Job State Change",
        "SageMaker Training Job State Change",
    ]
)
WATCH = st.fixed_dictionaries(
    {"detail-type": KINDS, "detail": DETAIL | VALUES}, optional={"resources": VALUES, "time": TEXTS, "id": VALUES}
)
TEXT = st.fixed_dictionaries({"AlarmName": TEXTS, "NewStateValue": TEXTS}, optional={"Trigger": VALUES, "AlarmArn": VALUES})
NOTIFIED = st.fixed_dictionaries({"Type": st.just("Notification"), "Message": (TEXT | WATCH).map(json.dumps) | TEXTS})
EVENTS = st.fixed_dictionaries(
    {"specversion": st.just("1.0"), "id": TEXTS, "source": TEXTS, "type": TEXTS},
    optional={"time": TEXTS, "data": VALUES | WATCH, "data_base64": TEXTS},
)
ALARMS = st.fixed_dictionaries(
    {"id": TEXTS, "endpoint": st.just("bikes"), "kind": st.just("bias"), "as_of": TEXTS}, optional={"labels": VALUES}
)
HEADERS = st.sampled_from([JSON, EVENT, BATCH, JSON + "; charset=x", "text/plain", ""]).map(lambda kind: {"content-type": kind})
BINARY = st.dictionaries(
    st.sampled_from(["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "ce-subject"]), st.text(max_size=9)
)


ROUTES = Routes(prefix="b", patterns=(("*", "bikes"),), missing_data=frozenset({"bikes"}))


def judge(headers: dict[str, str], body: bytes) -> None:
    with suppress(BodyError):
        items = items_from(headers, body, ROUTES)
        told = [check(index, item) for index, item in enumerate(items)]
        assert results(told).status_code in (202, 400)


def check(index: int, item: Item) -> Told:
    if isinstance(item, Understood):
        assert Alarm.model_validate_json(item.alarm.model_dump_json()) == item.alarm
        return Told(index, Result.ACCEPTED, item.alarm.id, item.alarm.endpoint)
    if isinstance(item, Refused):
        assert item.reason
        item.head.encode()
        return Told(index, Result.REFUSED, reason=item.reason)
    if isinstance(item, Monitored):
        assert item.job
        return Told(index, Result.IGNORED, item.id)
    return Told(index, Result.IGNORED, item.id, item.endpoint, item.reason)


@given(HEADERS, st.binary(max_size=60))
def test_any_bytes(headers: dict[str, str], body: bytes) -> None:
    judge(headers, body)


@given(
    HEADERS, BINARY, VALUES | ALERTS | WATCH | TEXT | NOTIFIED | EVENTS | ALARMS | st.lists(WATCH | EVENTS | ALARMS, max_size=3)
)
def test_any_json(headers: dict[str, str], attributes: dict[str, str], body: Any) -> None:
    judge({**headers, **attributes}, json.dumps(body).encode())


@given(st.text(alphabet='[]{},:"1eE-+.\\u d800nulltrue', max_size=80))
def test_anything_that_looks_like_json(text: str) -> None:
    judge({"content-type": JSON}, text.encode())
