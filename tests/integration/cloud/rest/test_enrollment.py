import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from cloud.access import authorization
from cloud.connectors import enrollment
from cloud.tenancy import scope
from local_daemon.protocol import enrollment as wire
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.machines import Machine
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db

MakeCode = Callable[..., str]


def post(path: str, body: Any) -> Any:
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    return Client(enforce_csrf_checks=True).post(path, content, content_type="application/json")


def test_a_machine_enrolls_over_http(acme: Tenant, make_code: MakeCode) -> None:
    answer = post(wire.ENROLL_PATH, Machine().enroll_request(make_code(acme)))
    assert answer.status_code == 201
    assert (answer.json()["organization"], answer.json()["project"]) == ("Acme", "Acme project")


def test_a_machine_registers_is_claimed_and_learns_its_name(acme: Tenant) -> None:
    machine = Machine()
    shown = post(wire.REGISTER_PATH, machine.register_request())
    assert shown.status_code == 201
    asked = post(wire.REGISTRATION_PATH, machine.registration_request())
    assert asked.json() == {"status": "pending", "connector_id": None}
    with scope.organization(acme.id):
        grant = authorization.authorize(acme.principal(), Scope.CONNECTORS_WRITE, project_id=acme.project.id)
        connector = enrollment.connector_claim(grant=grant, claim_code=shown.json()["claim_code"])
    asked = post(wire.REGISTRATION_PATH, machine.registration_request())
    assert asked.json() == {"status": "claimed", "connector_id": str(connector.id)}


def without(field: str) -> dict[str, Any]:
    request = Machine().enroll_request("RW-0000")
    del request[field]
    return request


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, "invalid_request"),
        ("[]", 400, "invalid_request"),
        (b"\xff", 400, "invalid_request"),
        (without("proof"), 400, "invalid_request"),
        ({**Machine().enroll_request("RW-0000"), "surprise": 1}, 400, "invalid_request"),
        ({**Machine().enroll_request("RW-0000"), "public_key": "short"}, 400, "invalid_request"),
        ({**Machine().enroll_request("RW-0000"), "label": "two\nlines"}, 400, "invalid_request"),
        (Machine().enroll_request("RW-0000"), 404, "not_found"),
        (b"x" * (16 * 1024 + 1), 413, "payload_too_large"),
    ],
)
def test_bad_input_gets_a_problem_and_changes_nothing(db: None, body: Any, status: int, code: str) -> None:
    answer = post(wire.ENROLL_PATH, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_problem_never_repeats_what_was_sent(db: None) -> None:
    answer = post(wire.ENROLL_PATH, {"code": ["hunter2"]})
    assert answer.status_code == 400
    assert b"hunter2" not in answer.content


def test_only_posting_is_possible(db: None) -> None:
    assert Client().get(wire.ENROLL_PATH).status_code == 405


def test_too_many_waiting_machines_are_told_when_to_come_back(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrollment, "PENDING_MAX", 0)
    answer = post(wire.REGISTER_PATH, Machine().register_request())
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
