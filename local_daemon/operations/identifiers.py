"""Handler of ids that somebody types by hand: their beginning, or the newest.

Called by `registry`. Tests: tests/unit/daemon/operations/test_identifiers.py.
"""

from pydantic import BaseModel

from local_daemon.operations.context import Call, OperationContext
from local_daemon.protocol import ids, messages
from local_daemon.repositories import selectors as repositories
from local_daemon.storage import database, identifiers


async def ids_list(context: OperationContext, call: Call) -> BaseModel:
    """Ids of the repository that begin as asked, or the newest of it."""
    asked = call.query_as(messages.IdListQuery)
    noun = ids.IdPrefix[asked.noun.upper()]

    def query(conn: database.Connection) -> BaseModel:
        repositories.repository_get(conn, call.repository_id)
        if asked.beginning is None:
            found = identifiers.ids_newest(conn, noun, call.repository_id, limit=asked.limit + 1)
        else:
            found = identifiers.ids_beginning(
                conn, noun, call.repository_id, beginning=asked.beginning, limit=asked.limit + 1
            )
        return messages.IdList(items=found[: asked.limit], is_cut=len(found) > asked.limit)

    return context.database.read(query)
