"""A lifecycle that only listens: it keeps what it is told as plain JSON. Apart, because the sandbox loads this module again."""

from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue


@workflow.defn(name="Listening")
class Listening:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    @workflow.run
    async def run(self, wanted: int) -> list[Any]:
        await workflow.wait_condition(lambda: len(self.heard) >= wanted)
        return self.heard

    @workflow.signal(dynamic=True)
    def any(self, name: str, args: Sequence[RawValue]) -> None:
        self.heard.append([name, *(workflow.payload_converter().from_payload(arg.payload) for arg in args)])
