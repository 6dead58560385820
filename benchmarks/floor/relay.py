"""The bare relay: one call over a websocket and back, without token, tenant, row, audit or table.

    daphne benchmarks.floor.relay:application

The floor of a call: what the same servers and libraries cost when they only pass JSON on. One connector, `/connector`.
"""

import asyncio
import itertools
import json
from typing import Any

_numbers = itertools.count()
_waiting: dict[int, "asyncio.Future[Any]"] = {}
_connectors: list[Any] = []


async def application(scope: Any, receive: Any, send: Any) -> None:
    """A planner's request, or the connector's socket."""
    if scope["type"] == "websocket":
        await _serve_connector(receive, send)
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    content = json.dumps(await _call({"method": scope["method"], "path": scope["path"], "body": body.decode()}))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200 if _connectors else 503, "headers": headers})
    await send({"type": "http.response.body", "body": content.encode()})


async def _call(request: dict[str, Any]) -> Any:
    if not _connectors:
        return None
    number = next(_numbers)
    answered = _waiting[number] = asyncio.get_running_loop().create_future()
    await _connectors[0]({"type": "websocket.send", "text": json.dumps({"number": number, **request})})
    return await answered


async def _serve_connector(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    _connectors.append(send)
    while (message := await receive())["type"] == "websocket.receive":
        answer = json.loads(message["text"])
        _waiting.pop(answer["number"]).set_result(answer["body"])
    _connectors.clear()
