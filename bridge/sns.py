"""What SNS puts around a message, and CloudWatch's older alarm text, which only SNS carries."""

from typing import Final

from bridge.cloudwatch import Transition, dimension_in, item_of, obj
from bridge.items import BodyError, Item
from bridge.reading import Json, head, read_json
from bridge.routing import Routes

_MOST_WRAPPINGS: Final = 2


def unwrapped(raw: Json) -> Json:
    """The message inside; a topic that feeds a topic wraps twice. Raises: BodyError (there is no JSON in it)."""
    for _ in range(_MOST_WRAPPINGS):
        if not (isinstance(raw, dict) and raw.get("Type") == "Notification" and isinstance(raw.get("Message"), str)):
            return raw
        try:
            raw = read_json(raw["Message"].encode(errors="surrogatepass"))
        except BodyError as error:
            raise BodyError(error.status, f"Message of an SNS notification: {error.reason}", error.received) from None
    return raw


def is_alarm_text(raw: Json) -> bool:
    return isinstance(raw, dict) and isinstance(raw.get("AlarmName"), str) and "NewStateValue" in raw


def alarm_from_text(raw: dict[str, Json], routes: Routes) -> Item:
    """`Trigger` has one metric, or `Metrics` with expressions among them; it carries no tags and no readings."""
    trigger = obj(raw.get("Trigger"))
    listed = trigger.get("Metrics")
    stats = [obj(obj(obj(entry).get("MetricStat")).get("Metric")) for entry in listed] if isinstance(listed, list) else []
    metrics = [trigger, *stats]
    children = raw.get("TriggeringChildren")
    arns = [obj(child).get("Arn") for child in children] if isinstance(children, list) else []
    found = Transition(
        name=raw["AlarmName"],
        arn=raw["AlarmArn"] if isinstance(raw.get("AlarmArn"), str) else "",
        value=str(raw.get("NewStateValue")),
        at=raw.get("StateChangeTime"),
        reason=str(raw.get("NewStateReason", "")),
        data={"threshold": trigger.get("Threshold")},
        before=str(raw.get("OldStateValue")),
        before_at=None,
        tags={},
        namespaces=" ".join(str(metric.get("Namespace", "")) for metric in metrics),
        dimension=dimension_in(_dimensions(metric) for metric in metrics),
        triggering=tuple(arn.rpartition(":alarm:")[2] for arn in arns[:20] if isinstance(arn, str)),
    )
    return item_of(found, routes, head(raw))


def _dimensions(metric: dict[str, Json]) -> dict[str, Json]:
    """A list of `name` and `value`, in lower case here and in upper case elsewhere."""
    listed = metric.get("Dimensions")
    pairs = [obj(entry) for entry in listed] if isinstance(listed, list) else []
    named = [(pair.get("name", pair.get("Name")), pair.get("value", pair.get("Value"))) for pair in pairs]
    return {name: value for name, value in named if isinstance(name, str)}
