"""Mappings made and waited for through the API of the mapping house."""

import asyncio
from typing import Any

from tests.support.mapping_house import STREAM, House


async def created(house: House, **settings: Any) -> str:
    arguments = {"EventSourceArn": STREAM, "FunctionName": "work", "StartingPosition": "TRIM_HORIZON"}
    uuid: str = (await house.wire.call("CreateEventSourceMapping", **{**arguments, **settings}))["UUID"]
    return uuid


async def state(house: House, uuid: str) -> str:
    found: str = (await house.wire.call("GetEventSourceMapping", UUID=uuid))["State"]
    return found


async def settled(house: House, uuid: str) -> None:
    for _ in range(1_000):
        if await state(house, uuid) in ("Enabled", "Disabled"):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come to rest")
