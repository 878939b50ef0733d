from runtime import search_attributes
from temporalio.client import Client


async def test_search_attributes_are_created_once(client: Client) -> None:
    assert await search_attributes.ensure(client) == ()
