"""Whether the record is where its event log says: nothing stands in a table that the log does not tell, nor otherwise.

A chain holds as well when its end was cut off and its head moved back; what the tables say then lacks its events. Knows
the tables by their columns, as one who checks from outside. Reads only. Called by `verification`.
Tests: tests/unit/daemon/evidence/test_agreement.py.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from local_daemon.protocol.events import EventType
from local_daemon.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noun:
    """What events tell again and again, and the one column that says where it stands."""

    name: str
    column: str
    sql: str

    @property
    def id_name(self) -> str:
        return f"{self.name}_id"


_RUN = _Noun(name="run", column="state", sql="SELECT run_id, state FROM runs")
_STEP = _Noun(name="step", column="state", sql="SELECT step_id, state FROM steps")
_ATTEMPT = _Noun(name="attempt", column="state", sql="SELECT attempt_id, state FROM attempts")
_GATE = _Noun(name="gate", column="state", sql="SELECT gate_id, state FROM gates")
_ARTIFACT = _Noun(name="artifact", column="sha256", sql="SELECT artifact_id, sha256 FROM artifacts")
_TOLD_BY: Mapping[str, _Noun] = MappingProxyType(
    {
        EventType.RUN_CREATED: _RUN,
        EventType.RUN_CHANGED: _RUN,
        EventType.STEP_CREATED: _STEP,
        EventType.STEP_CHANGED: _STEP,
        EventType.ATTEMPT_CHANGED: _ATTEMPT,
        EventType.GATE_OPENED: _GATE,
        EventType.GATE_DECIDED: _GATE,
        EventType.ARTIFACT_RECORDED: _ARTIFACT,
    }
)


def disagreements(conn: Connection) -> Iterator[str]:
    """What the log and the record do not tell alike, a sentence each. Takes logs whose chains hold, and a connection
    that sees both as of one moment, as a daemon may be at work."""
    told = _told(conn)
    kept = {noun.name: {row[0]: row[1] for row in conn.execute(noun.sql)} for noun in _TOLD_BY.values()}
    for noun in dict.fromkeys(_TOLD_BY.values()):
        yield from _compared(noun, kept[noun.name], told[noun.name])


def log_passed(conn: Connection, log_id: str, *, seq: int, digest: str) -> bool:
    """Whether the log has this very event at that place, and so, where its chain holds, all that was before it."""
    row = conn.execute("SELECT hash FROM events WHERE log_id = ? AND seq = ?", (log_id, seq)).fetchone()
    return row is not None and row["hash"] == digest


def _told(conn: Connection) -> dict[str, dict[str, str]]:
    """What the logs last say of each, by noun and id."""
    told: dict[str, dict[str, str]] = {noun.name: {} for noun in _TOLD_BY.values()}
    for event_type, data in conn.execute("SELECT type, data FROM events ORDER BY log_id, seq"):
        noun = _TOLD_BY.get(event_type)
        if noun is not None:
            view = json.loads(data)[noun.name]
            told[noun.name][view[noun.id_name]] = view[noun.column]
    return told


def _compared(noun: _Noun, kept: Mapping[str, str], told: Mapping[str, str]) -> Iterator[str]:
    for unknown in told.keys() - kept.keys():
        yield f"{noun.name} {unknown}: the log tells it, and it is not on record"
    for named, value in kept.items():
        said = told.get(named)
        if said is None:
            yield f"{noun.name} {named}: the log does not tell it, so its end may be missing"
        elif said != value and noun.column == "state":
            yield f"{noun.name} {named}: it is {value}, and the log last says {said}; its end may be missing"
        elif said != value:
            yield f"{noun.name} {named}: its {noun.column} is not the one that the log tells"
