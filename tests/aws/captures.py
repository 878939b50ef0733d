"""Data capture as SageMaker writes it, without an endpoint: for tests that only read it."""

import json
from collections.abc import Sequence
from datetime import datetime

from platforms.aws.objects import Objects
from platforms.tabular.captured import CapturedRow


def capture_line(rows: Sequence[CapturedRow]) -> str:
    """One call with these rows, and its answer."""
    asked = [{"id": r.id, "event_time": r.event_time.isoformat(), "features": r.features} for r in rows]
    told = [
        {"id": r.id, "score": r.score, "label": r.answer}
        | ({"scores": {str(n): value for n, value in enumerate(r.scores)}} if r.scores else {})
        for r in rows
    ]

    def side(mode: str, body: object) -> dict[str, str]:
        return {"observedContentType": "application/json", "mode": mode, "data": json.dumps(body), "encoding": "JSON"}

    data = {
        "endpointInput": side("INPUT", {"requests": asked}),
        "endpointOutput": side("OUTPUT", {"model": rows[0].digest, "answers": told}),
    }
    event = {"eventId": f"call-{rows[0].id}", "inferenceTime": f"{rows[0].served_at:%Y-%m-%dT%H:%M:%SZ}"}
    return json.dumps({"captureData": data, "eventMetadata": event, "eventVersion": "0"})


def write_captures(objects: Objects, endpoint: str, name: str, lines: Sequence[str], at: datetime) -> str:
    """A captured object; returns its key."""
    key = f"capture/{endpoint}/t-{endpoint}/AllTraffic/{at:%Y/%m/%d/%H}/{name}.jsonl"
    objects.put(key, "".join(f"{line}\n" for line in lines).encode())
    return key
