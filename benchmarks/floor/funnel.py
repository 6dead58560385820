"""The funnel in a process of its own, by turns with its floor; prints milliseconds as one JSON object.

    python -m benchmarks.floor.funnel TOKEN PROJECT_ID OWNER_URL ROUNDS

The floor writes the rows that the funnel wrote, under other ids: the same bytes, and nothing looked up or decided.
"""

import itertools
import json
import sys
import time
from typing import Any
from uuid import UUID

import django

django.setup()

import psycopg  # noqa: E402

from cloud.access.authentication import authenticate_bearer  # noqa: E402 - it needs Django to be set up
from cloud.audit.models import AuditEvent  # noqa: E402
from cloud.connectors.models import Connector  # noqa: E402
from cloud.dispatch import acceptance, progress  # noqa: E402
from cloud.dispatch.acceptance import Terms  # noqa: E402
from cloud.dispatch.models import OperationCall  # noqa: E402
from cloud.dispatch.requests import Sent  # noqa: E402
from cloud.tenancy import scope  # noqa: E402
from local_daemon.protocol import ids  # noqa: E402
from relay.calls import Answer  # noqa: E402

RUN = "run_" + "0" * 26
_PARTS = ("authenticate", "accept", "answer", "floor accept", "floor answer")
_ANSWER = Answer(status=200, body={"run": {"run_id": RUN, "objective": "x" * 400}})


class Funnel:
    """Calls as surfaces make them, for the machine that is linked to the serving process."""

    def __init__(self, token: str, project_id: str) -> None:
        self._token, self._project_id = token, project_id
        self.organization_id = authenticate_bearer(token).organization_id
        with scope.organization(self.organization_id):
            self._owner = Connector.objects.get().link_owner

    def accept(self) -> acceptance.Accepted:
        """A read, recorded as sent."""
        return acceptance.call_accept(
            identify=lambda: authenticate_bearer(self._token),
            sent=Sent(operation="runs.get", parameters={"run_id": RUN}, query={}, body=None),
            project_id=self._project_id,
            terms=Terms(client_address="127.0.0.1"),
            here=self._owner,
        )

    def authenticate(self) -> None:
        """The token alone."""
        authenticate_bearer(self._token)

    def answer(self, accepted: acceptance.Accepted) -> None:
        """Its answer, recorded."""
        progress.call_answer(
            organization_id=str(accepted.organization_id),
            connector_id=accepted.connector_id,
            call_id=accepted.call.call_id,
            answer=_ANSWER,
        )


class Floor:
    """The rows of one such call, written by hand."""

    def __init__(self, owner_url: str, organization_id: UUID, call_id: str) -> None:
        self._connection = psycopg.connect(owner_url)
        self._connection.execute("SELECT set_config('app.organization_id', %s, false)", [str(organization_id)])
        with scope.organization(organization_id):
            self._call = _columns(OperationCall.objects.get(id=call_id))
            told = AuditEvent.objects.filter(call_id=call_id).order_by("id")
            self._told = [_columns(event) for event in told]
        for event in self._told:
            del event["transaction_id"]
        self._connection.commit()

    def accept(self) -> str:
        """The call's row and its first audit row, in one commit."""
        call_id = ids.new_id(ids.IdPrefix.CALL)
        self._insert("dispatch_operationcall", {**self._call, "id": call_id})
        self._insert("audit_auditevent", {**self._told[0], "id": ids.new_uuid7(), "call_id": call_id})
        self._connection.commit()
        return call_id

    def answer(self, call_id: str) -> None:
        """The answer and the second audit row, in another."""
        self._connection.execute(
            "UPDATE dispatch_operationcall SET state = 'answered', answer_status = 200 WHERE id = %s", [call_id]
        )
        self._insert("audit_auditevent", {**self._told[1], "id": ids.new_uuid7(), "call_id": call_id})
        self._connection.commit()

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        names, holes = ", ".join(row), ", ".join(["%s"] * len(row))
        self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({holes})", list(row.values()))  # noqa: S608


def _columns(row: Any) -> dict[str, Any]:
    values = {field.column: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return {name: json.dumps(value) if isinstance(value, dict) else value for name, value in values.items()}


def main() -> None:
    """Measure by turns, after a warm-up."""
    token, project_id, owner_url, rounds = sys.argv[1:]
    funnel = Funnel(token, project_id)
    first = funnel.accept()
    funnel.answer(first)
    floor = Floor(owner_url, funnel.organization_id, first.call.call_id)
    found: dict[str, list[float]] = {name: [] for name in ("whole", "floor", *_PARTS)}
    for number in range(int(rounds) + 50):
        moments = [time.perf_counter()]
        funnel.authenticate()
        moments.append(time.perf_counter())
        accepted = funnel.accept()
        moments.append(time.perf_counter())
        funnel.answer(accepted)
        moments.append(time.perf_counter())
        call_id = floor.accept()
        moments.append(time.perf_counter())
        floor.answer(call_id)
        moments.append(time.perf_counter())
        if number < 50:
            continue
        spent = [(after - before) * 1000 for before, after in itertools.pairwise(moments)]
        for name, value in zip(_PARTS, spent, strict=True):
            found[name].append(value)
        found["whole"].append(spent[1] + spent[2])
        found["floor"].append(spent[3] + spent[4])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
