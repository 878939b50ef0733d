"""The search attributes: made where they are missing, and a clear sentence where they can't be."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from runtime import search_attributes
from runtime.errors import Misconfigured


@pytest_asyncio.fixture(loop_scope="session")
async def bare(client: Client) -> AsyncIterator[Client]:
    """A client of a namespace that nobody has prepared."""
    name = f"bare-{uuid4().hex[:8]}"
    keep = Duration()
    keep.FromTimedelta(timedelta(days=1))
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=keep)
    )
    yield await Client.connect(client.service_client.config.target_host, namespace=name)


async def test_the_missing_ones_are_created_and_then_nothing_is_missing(bare: Client) -> None:
    wanted = ("Endpoint", "Stage", "Incident", "Severity", "WaitingOn", "Team")
    assert await search_attributes.ensure(bare) == wanted
    assert await search_attributes.ensure(bare) == ()


async def test_one_of_another_type_is_named_with_the_remedy(bare: Client) -> None:
    kinds = {"Stage": IndexedValueType.INDEXED_VALUE_TYPE_INT}
    await bare.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=bare.namespace, search_attributes=kinds)
    )
    with pytest.raises(Misconfigured, match=r"search attributes Stage of namespace 'bare-\w+' are not of type Keyword"):
        await search_attributes.ensure(bare)


async def test_a_namespace_that_is_not_there_is_named_with_what_to_run(client: Client) -> None:
    nowhere = await Client.connect(client.service_client.config.target_host, namespace="nowhere")
    with pytest.raises(Misconfigured, match="temporal operator namespace create --namespace nowhere"):
        await search_attributes.ensure(nowhere)
