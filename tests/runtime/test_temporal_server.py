from temporalio.client import Client

from runtime import search_attributes


async def test_search_attributes_are_created_once(client: Client) -> None:
    assert await search_attributes.ensure(client) == ()
