"""Request and response bodies of a repository that lies elsewhere by now, or is to be forgotten.

Bodies as in `messages`. Local only, as is everything that carries a path. Tests: tests/contract/test_operations.py.
"""

from pydantic import Field

from local_daemon.protocol import messages, wire


class RepositoryRelocate(wire.WireModel):
    """Says where a repository lies now, by the path of any folder in it."""

    path: messages.FolderPath


class RelocationView(messages.RepositoryView):
    """The repository, known at its new place. Patches of results that git doesn't keep there are evidence all the
    same."""

    results_missing: wire.Integer = Field(
        default=0, description="of the newest results those whose reference is not there, as in a fresh clone"
    )
