"""The bare connector: passes what comes over the websocket to a Unix socket, and the answer back.

python -m benchmarks.floor.connector URL SOCKET
"""

import asyncio
import json
import sys
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

from benchmarks.http_client import Address, Connection


async def carry(websocket: ClientConnection, idle: list[Connection], address: Address, text: str) -> None:
    """Answer one request, over a connection that nobody uses now."""
    request = json.loads(text)
    connection = idle.pop() if idle else await Connection(address).__aenter__()
    _, content = await connection.ask(request["method"], request["path"], request["body"].encode())
    idle.append(connection)
    await websocket.send(json.dumps({"number": request["number"], "body": json.loads(content)}))


async def serve(url: str, address: Address) -> None:
    """Carry until the relay goes."""
    idle: list[Connection] = []
    async with connect(url, compression=None) as websocket, asyncio.TaskGroup() as tasks:
        async for message in websocket:
            tasks.create_task(carry(websocket, idle, address, str(message)))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Address(socket=Path(sys.argv[2]))))
