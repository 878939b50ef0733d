"""Athena: queries are really run, by DuckDB over the Parquet in the simulated S3.

Sources: https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html (token, states, output location),
API_GetQueryExecution.html (statistics), https://docs.aws.amazon.com/athena/latest/ug/unload.html (properties, empty destination,
manifest, orphaned files), https://docs.aws.amazon.com/athena/latest/ug/troubleshooting-athena.html (HIVE_PATH_ALREADY_EXISTS).
"""

import csv
import io
import re
import secrets
import threading
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from moto.athena.models import athena_backends

from tests.aws.athena_query import Catalog, Result, Unload, run, unload_of
from tests.aws.athena_tables import QueryFailed
from tests.aws.bucket_objects import listed, there, write
from tests.aws.calls import Call, Refusal
from tests.aws.world import ACCOUNT, World

QUEUED_SECONDS, RUNNING_SECONDS = 1.0, 5.0
_OVER = {"SUCCEEDED", "FAILED", "CANCELLED"}
_MOST_ROWS = 1000


@dataclass
class Execution:
    asked: dict[str, Any]
    id: str
    output: str
    region: str
    submitted: datetime
    state: str = "QUEUED"
    reason: str = ""
    completed: datetime | None = None
    scanned: int = 0
    result: Result | None = None
    manifest: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def end(self, state: str, now: datetime, reason: str = "") -> bool:
        """False where it is over already."""
        with self.lock:
            if self.state in _OVER:
                return False
            self.state, self.reason, self.completed = state, reason, now
            return True

    def described(self, now: datetime) -> dict[str, Any]:
        took = int(((self.completed or now) - self.submitted).total_seconds() * 1000)
        status = {"State": self.state, "SubmissionDateTime": self.submitted}
        if self.reason:
            error = {
                "ErrorCategory": 2,
                "ErrorType": 1,
                "Retryable": "Query exhausted" in self.reason,
                "ErrorMessage": self.reason,
            }
            status |= {"StateChangeReason": self.reason, **({"AthenaError": error} if self.state == "FAILED" else {})}
        if self.completed:
            status["CompletionDateTime"] = self.completed
        statistics = {"DataScannedInBytes": self.scanned, "EngineExecutionTimeInMillis": took, "TotalExecutionTimeInMillis": took}
        return {
            "QueryExecutionId": self.id,
            "Query": self.asked["QueryString"],
            "StatementType": "DML",
            "ResultConfiguration": {"OutputLocation": self.output},
            "QueryExecutionContext": self.asked.get("QueryExecutionContext", {}),
            "Status": status,
            "Statistics": statistics | ({"DataManifestLocation": self.manifest} if self.manifest else {}),
            "WorkGroup": self.asked.get("WorkGroup", "primary"),
        }


def install(world: World) -> None:
    executions: dict[str, Execution] = {}
    tokens: dict[str, Execution] = {}
    cache = world.home / "athena"
    cache.mkdir(parents=True, exist_ok=True)

    @world.operation("athena", "StartQueryExecution")
    def start(call: Call) -> dict[str, Any]:
        token = call.params.get("ClientRequestToken") or str(uuid4())
        asked = {name: value for name, value in call.params.items() if name != "ClientRequestToken"}
        if not 32 <= len(token) <= 128:
            raise Refusal("InvalidRequestException", "ClientRequestToken must have 32 to 128 characters")
        with world.lock:
            before = tokens.get(token)
            if before is not None and before.asked != asked:
                raise Refusal("InvalidRequestException", "Idempotent parameters do not match")
            if before is None:
                before = Execution(asked, str(uuid4()), _output(call), call.region, world.now())
                before.output += f"/{before.id}.csv"
                executions[before.id] = tokens[token] = before
                world.thread(lambda: _run(world, before, cache))
        return {"QueryExecutionId": before.id}

    _looks(world, executions)


def _looks(world: World, executions: dict[str, Execution]) -> None:
    def known(call: Call) -> Execution:
        identity = call.params["QueryExecutionId"]
        if identity not in executions:
            raise Refusal("InvalidRequestException", f"QueryExecution {identity} was not found")
        return executions[identity]

    @world.operation("athena", "GetQueryExecution")
    def get(call: Call) -> dict[str, Any]:
        return {"QueryExecution": known(call).described(world.now())}

    @world.operation("athena", "StopQueryExecution")
    def stop(call: Call) -> None:
        known(call).end("CANCELLED", world.now(), "Query was cancelled by user")

    @world.operation("athena", "GetQueryResults")
    def results(call: Call) -> dict[str, Any]:
        execution = known(call)
        if execution.state != "SUCCEEDED":
            what = "Query has not yet finished" if execution.state not in _OVER else "Query did not finish successfully"
            raise Refusal("InvalidRequestException", f"{what}. Final query state: {execution.state}")
        return _page(execution, call)


def _page(execution: Execution, call: Call) -> dict[str, Any]:
    """The first row of the first page holds the names."""
    assert execution.result is not None
    found = execution.result
    rows = [found.names, *found.rows] if found.names else []
    start = int(call.params.get("NextToken") or 0)
    page = rows[start : start + int(call.params.get("MaxResults") or _MOST_ROWS)]
    cells = [{"Data": [{} if value is None else {"VarCharValue": str(value)} for value in row]} for row in page]
    info = [{"Name": name, "Type": kind} for name, kind in zip(found.names, found.types, strict=True)]
    more = {"NextToken": str(start + len(page))} if start + len(page) < len(rows) else {}
    return {"ResultSet": {"Rows": cells, "ResultSetMetadata": {"ColumnInfo": info}}, **more}


def _output(call: Call) -> str:
    """Where results go. Raises: Refusal."""
    name = call.params.get("WorkGroup", "primary")
    group = athena_backends[ACCOUNT][call.region].work_groups.get(name)
    if group is None:
        raise Refusal("InvalidRequestException", f"WorkGroup {name} is not found.")
    own = (call.params.get("ResultConfiguration") or {}).get("OutputLocation")
    groups = (group.configuration.get("ResultConfiguration") or {}).get("OutputLocation")
    found = groups if group.configuration.get("EnforceWorkGroupConfiguration") and groups else own or groups
    if not found:
        where = "either through the Workgroup result configuration setting or as an API input."
        raise Refusal("InvalidRequestException", f"No output location provided. An output location is required {where}")
    if not there(found):
        raise Refusal("InvalidRequestException", f"Unable to verify/create output bucket {found}")
    return str(found).rstrip("/")


def _run(world: World, execution: Execution, cache: Path) -> None:
    world.sleep(QUEUED_SECONDS)
    with execution.lock:
        if execution.state == "QUEUED":
            execution.state = "RUNNING"
    try:
        _work(world, execution, cache)
        execution.end("SUCCEEDED", world.now())
    except QueryFailed as failed:
        execution.end("FAILED", world.now(), str(failed))
    except Exception as error:  # noqa: BLE001 - the simulator's own mistake is told where a test sees it
        execution.end("FAILED", world.now(), f"GENERIC_INTERNAL_ERROR: {type(error).__name__}: {error}")


def _work(world: World, execution: Execution, cache: Path) -> None:
    """Raises: QueryFailed."""
    if world.faults.struck("athena", "StartQueryExecution", ("capacity",)):
        raise QueryFailed("Query exhausted resources at this scale factor")
    unload = unload_of(execution.asked["QueryString"])
    if unload and next(listed(unload.destination), None) is not None:
        said = f"Target directory already exists: {unload.destination}. You may need to manually clean the data"
        raise QueryFailed(f"HIVE_PATH_ALREADY_EXISTS: {said} before retrying. Athena will not delete data in your account.")
    context = execution.asked.get("QueryExecutionContext") or {}
    catalog = Catalog(execution.region, context.get("Database", "default"), cache)
    result = run(unload.query if unload else execution.asked["QueryString"], catalog)
    world.sleep(RUNNING_SECONDS)
    if execution.state not in _OVER:
        execution.scanned, execution.result = result.scanned, result
        _store(execution, unload, result)


def _store(execution: Execution, unload: Unload | None, result: Result) -> None:
    base = execution.output.removesuffix(".csv")
    write(f"{base}.metadata" if unload else f"{execution.output}.metadata", b"metadata")
    if unload is None:
        text = io.StringIO()
        csv.writer(text, quoting=csv.QUOTE_ALL).writerows([result.names, *result.rows])
        write(execution.output, text.getvalue().encode())
        return
    written = []
    for number, content in enumerate(result.parquet()):
        name = f"{execution.submitted:%Y%m%d_%H%M%S}_{number:05d}_{secrets.token_hex(3)[:5]}_{uuid4()}"
        written.append(f"{re.sub('/*$', '/', unload.destination)}{name}")
        write(written[-1], content)
    execution.manifest = f"{base}-manifest.csv"
    write(execution.manifest, "\n".join(written).encode())
    execution.result = Result([], [], [], result.scanned, None)
