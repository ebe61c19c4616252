"""What stands behind the gateway in tests that need one service only: nothing, and who is asked for it says so."""

from typing import Any

from infra.local.http import Request, Response


class Absent:
    async def handle(self, request: Request) -> Response:
        raise AssertionError(f"{request.path} is for no one here")


async def nothing_else(scope: Any, receive: Any, send: Any) -> None:
    """The application mounted behind: only its lifespan is used."""
    while scope["type"] == "lifespan":
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
