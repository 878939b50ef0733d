"""What people search incidents by, in the Temporal UI and on the command line."""

from typing import Final

import structlog
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from runtime.errors import Misconfigured
from workflows.visibility import ALL, ENDPOINT, INCIDENT, SEVERITY, STAGE, TEAM, WAITING_ON

__all__ = ["ALL", "ENDPOINT", "INCIDENT", "SEVERITY", "STAGE", "TEAM", "WAITING_ON", "ensure"]

_KEYWORD: Final = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
_NOT_OURS_TO_DO: Final = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.UNIMPLEMENTED)

log = structlog.get_logger(__name__)


async def ensure(client: Client) -> tuple[str, ...]:
    """Create the missing ones and return their names; a second call finds nothing to do.

    A server that lets us neither look nor create is left alone: a warning says what to run.

    Raises:
        Misconfigured: some are missing, or have another type, and a person has to create them.
    """
    try:
        missing = await _missing(client)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            raise Misconfigured(
                f"Temporal has no namespace {client.namespace!r}. Set TEMPORAL_NAMESPACE, or run: "
                f"temporal operator namespace create --namespace {client.namespace}"
            ) from error
        if error.status not in _NOT_OURS_TO_DO:
            raise
        log.warning("search_attributes_unknown", remedy=_command(client, [key.name for key in ALL]), reason=error.message)
        return ()
    if missing:
        await _create(client, missing)
    return tuple(missing)


async def _missing(client: Client) -> list[str]:
    answer = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace=client.namespace))
    wrong = [key.name for key in ALL if answer.custom_attributes.get(key.name, _KEYWORD) != _KEYWORD]
    if wrong:
        raise Misconfigured(
            f"search attributes {', '.join(wrong)} of namespace {client.namespace!r} are not of type Keyword. "
            "Remove them with `temporal operator search-attribute remove`, or use another namespace."
        )
    return [key.name for key in ALL if key.name not in answer.custom_attributes]


async def _create(client: Client, names: list[str]) -> None:
    request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=dict.fromkeys(names, _KEYWORD))
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status == RPCStatusCode.ALREADY_EXISTS and not await _missing(client):
            return
        raise Misconfigured(
            f"search attributes {', '.join(names)} are missing in namespace {client.namespace!r} "
            f"and can't be created from here ({error.message}). Run: {_command(client, names)}"
        ) from error


def _command(client: Client, names: list[str]) -> str:
    wanted = " ".join(f"--name {name} --type Keyword" for name in names)
    return f"temporal operator search-attribute create --namespace {client.namespace} {wanted}"
