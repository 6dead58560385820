"""Which run, step, gate, conversation or artifact a word means: its id, how only that id begins, or `latest`.

As git does it: what begins several ids is refused with all of them, and nothing is ever guessed. Called by every
command that takes an id. Tests: tests/unit/daemon/cli/test_naming.py, tests/integration/daemon/test_cli_naming.py.
"""

import re

from local_daemon.cli import options
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import errors, ids, messages

LATEST = "latest"
_BEGINNING = re.compile(ids.BEGINNING_PATTERN)
_SHOWN_CHARACTERS = 100
_CANDIDATES = 10


class AmbiguousId(errors.InvalidRequest):
    """Several ids begin like this; say more of the one you mean."""


def place_find(client: DaemonClient, repository: str | None, noun: ids.IdPrefix, word: str) -> dict[str, str]:
    """Where it is that the word means: its repository's id and its own, as the path of an operation takes them. Raises
    InvalidRequest for a word that can't be one, AmbiguousId, NotFound."""
    beginning = _beginning(noun, word)
    repository_id = options.repository_choose(client, repository)
    found = word if ids.is_id(noun, word) else _id_find(client, repository_id, noun, word, beginning=beginning)
    return {"repository_id": repository_id, f"{noun.name.lower()}_id": found}


def is_no_name(noun: ids.IdPrefix, word: str) -> bool:
    """Whether the word is an id's where a name may stand as well: `latest`, or the noun and how its ids begin."""
    begins_with, separator, rest = word.partition("_")
    return word == LATEST or (bool(separator) and begins_with == noun and bool(_BEGINNING.fullmatch(rest)))


def _beginning(noun: ids.IdPrefix, word: str) -> str | None:
    """What the id is to begin with after its noun; None for the newest. Raises InvalidRequest before anybody is
    asked."""
    if word == LATEST:
        return None
    begins_with, separator, rest = word.partition("_")
    if separator and begins_with != noun and begins_with in set(ids.IdPrefix):
        other = ids.IdPrefix(begins_with)
        raise errors.InvalidRequest(f"{word[:_SHOWN_CHARACTERS]!r} is of {_a(other)}; here {_a(noun)} is meant.")
    beginning = rest if separator and begins_with == noun else word
    if not _BEGINNING.fullmatch(beginning):
        raise errors.InvalidRequest(
            f"{word[:_SHOWN_CHARACTERS]!r} is not the id of {_a(noun)}, nor four or more characters that one begins "
            f"with, nor `{LATEST}`."
        )
    return beginning


def _id_find(client: DaemonClient, repository_id: str, noun: ids.IdPrefix, word: str, *, beginning: str | None) -> str:
    query: dict[str, str | int] = {"noun": noun.name.lower(), "limit": 1 if beginning is None else _CANDIDATES}
    if beginning is not None:
        query["beginning"] = beginning
    parameters = {"repository_id": repository_id}
    found = client.call("ids.list", messages.IdList, parameters=parameters, query=query)
    if not found.items:
        what = "yet" if beginning is None else f"whose id begins with {word}"
        raise errors.NotFound(f"There is no {noun.name.lower()} {what} in this repository.")
    if len(found.items) > 1 and beginning is not None:
        most = "many" if found.is_cut else str(len(found.items))
        raise AmbiguousId(
            f"{word} begins the ids of {most} {noun.name.lower()}s; say more of the one you mean.",
            candidates=list(found.items),
        )
    return found.items[0]


def _a(noun: ids.IdPrefix) -> str:
    word = noun.name.lower()
    return f"an {word}" if word[0] in "aio" else f"a {word}"
