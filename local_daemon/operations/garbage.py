"""Handler of collecting garbage.

Called by `registry`. Tests: tests/integration/daemon/test_retention.py.
"""

from pydantic import BaseModel

from local_daemon.operations.context import Call, OperationContext
from local_daemon.protocol import errors
from local_daemon.protocol import garbage as garbage_messages


async def garbage_collect(context: OperationContext, call: Call) -> BaseModel:
    """Let go what the operator's retention lets go; again finds nothing more."""
    if context.collect_garbage is None:
        raise errors.UnsupportedOperation("This daemon keeps everything.")
    return await context.collect_garbage(call.body_as(garbage_messages.GarbageCollect).dry_run)
