"""The process of an attempt whose work is done in an Antigravity IDE: it tells the broker, and waits.

    python -I -m local_daemon.executors.antigravity_client ORDER

What happens is printed as lines of JSON, which `antigravity` reads like any CLI's stream. Asked to end (SIGTERM), it
asks the broker to cancel and stays until the broker says that the work has ended; killed before that, the missing line
tells. The broker has no way of telling by itself, so it is asked every second. Deliberately no more than this talk.
Tests: tests/integration/daemon/executors/test_antigravity.py.
"""

import json
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from local_daemon.client import broker

_ASK_EVERY_S = 1.0
_CANCELLING_ASK_EVERY_S = 0.1
_LOST_S = 30.0
"""For so long the broker may fail to answer, or not see its IDE, before the work is given up for lost."""

_TRAJECTORY_BYTES_MAX = 4 * 1024 * 1024
_REASON_CHARACTERS_MAX = 500
_TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ENDED = frozenset({"completed", "failed", "cancelled"})


class _CancelAsked(Exception):
    """The daemon wants the work to end."""


def main(argv: Sequence[str]) -> int:
    """Carry out the order; 0 where the work was completed."""
    order = json.loads(Path(argv[1]).read_text(encoding="utf-8"))
    signal.signal(signal.SIGTERM, _cancel_asked)
    talk = _Talk(order)
    task_id = None
    try:
        # Once the work is asked for, its id has to be known, or nobody could cancel it.
        with _undisturbed():
            task_id = talk.begin()
        return 1 if task_id is None else talk.follow(task_id)
    except _CancelAsked:
        return 1 if task_id is None else talk.cancel(task_id)


class _Talk:
    """One task at the broker."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        self._order = order
        self._places: Mapping[str, str] = order["places"]
        self._pause = threading.Event()

    def begin(self) -> str | None:
        """Ask for the work; its id. None where it was refused, or nobody can know whether it began."""
        asked = {name: self._order[name] for name in ("prompt", "repo_root", "workspace_root")}
        self._tell(type="asking")
        try:
            answer = broker.ask(self._order["url"], "POST", "/tasks", asked)
        except broker.Unreached as error:
            self._tell(type="unreachable", detail=f"the broker: {error}")
            return None
        except broker.MISHAPS as error:
            self._tell(type="lost", detail=f"the broker was asked, and did not answer: {broker.reason_of(error)}")
            return None
        if answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED):
            self._tell(type="refused", status=answer.status, detail=f"the broker refused: {answer.words}")
            return None
        task_id = answer.document.get("id")
        if not isinstance(task_id, str) or not _TASK_ID.fullmatch(task_id):
            self._tell(type="lost", detail="the broker began a task and did not say which")
            return None
        self._tell(type="task", id=task_id, cascade_id=answer.document.get("cascade_id"))
        return task_id

    def follow(self, task_id: str) -> int:
        """Wait for the end of the work."""
        last_seen_at, state = time.monotonic(), ""
        while True:
            found, problem = self._state(task_id)
            if found is not None:
                last_seen_at = time.monotonic()
                if found.get("state") in _ENDED:
                    return self._ended(task_id, found)
                if found.get("state") != state:
                    state = str(found.get("state"))
                    self._tell(type="state", state=state)
            elif time.monotonic() - last_seen_at > _LOST_S:
                self._tell(type="lost", detail=f"the broker lost the work: {problem}")
                return 1
            self._pause.wait(_ASK_EVERY_S)

    def cancel(self, task_id: str) -> int:
        """Ask the broker to end the work, and stay until it says that it has ended."""
        is_taken_away = False
        try:
            answer = broker.ask(self._order["url"], "DELETE", f"/tasks/{task_id}")
            is_taken_away = answer.status < HTTPStatus.BAD_REQUEST
            self._tell(type="cancel", status=answer.status)
        except broker.MISHAPS as error:
            self._tell(type="cancel", detail=broker.reason_of(error))
        while True:
            found, problem = self._state(task_id)
            if found is not None and found.get("state") in _ENDED:
                return self._ended(task_id, found)
            if is_taken_away and problem == f"HTTP {int(HTTPStatus.NOT_FOUND)}":
                return self._ended(task_id, {"state": "cancelled"})
            self._pause.wait(_CANCELLING_ASK_EVERY_S)

    def _state(self, task_id: str) -> tuple[Mapping[str, Any] | None, str]:
        """What the broker says of the task; None, and why, where it doesn't know."""
        try:
            answer = broker.ask(self._order["url"], "GET", f"/tasks/{task_id}")
        except broker.MISHAPS as error:
            return None, broker.reason_of(error)
        if answer.status != HTTPStatus.OK:
            return None, f"HTTP {answer.status}"
        if answer.document.get("state") == "error":
            # By its own word it can't see its IDE just now; the work may well go on there.
            return None, str(answer.document.get("summary") or "it can't see its IDE")[:_REASON_CHARACTERS_MAX]
        return answer.document, ""

    def _ended(self, task_id: str, found: Mapping[str, Any]) -> int:
        try:
            told = broker.ask(self._order["url"], "GET", f"/tasks/{task_id}/result", bytes_max=_TRAJECTORY_BYTES_MAX)
            if told.status == HTTPStatus.OK and told.document:
                self._tell(type="trajectory", trajectory=told.document)
        except broker.MISHAPS as error:
            self._tell(type="trajectory", detail=broker.reason_of(error))
        self._tell(type="ended", state=found.get("state"), summary=found.get("summary"))
        return 0 if found.get("state") == "completed" else 1

    def _tell(self, **document: Any) -> None:
        sys.stdout.write(json.dumps(_as_ours(document, self._places)) + "\n")
        sys.stdout.flush()


def _as_ours(found: Any, places: Mapping[str, str]) -> Any:
    """The same with our names of the folders that the IDE's machine calls otherwise, so that they can be cleaned. What
    it is given is no deeper than `broker` lets through."""
    if isinstance(found, str):
        for theirs, ours in places.items():
            found = found.replace(theirs, ours).replace(theirs.replace("\\", "/"), ours)
        return found
    if isinstance(found, Mapping):
        return {name: _as_ours(value, places) for name, value in found.items()}
    return [_as_ours(value, places) for value in found] if isinstance(found, list) else found


def _cancel_asked(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # Once is enough: what follows has to be finished.
    raise _CancelAsked


@contextmanager
def _undisturbed() -> Iterator[None]:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


if __name__ == "__main__":
    sys.exit(main(sys.argv))
