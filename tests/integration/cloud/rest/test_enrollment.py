import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import hypothesis
import pytest
from django.test import Client
from hypothesis import HealthCheck
from hypothesis import strategies as st

from cloud.access import authorization
from cloud.audit.models import AuditEvent
from cloud.connectors import enrollment
from cloud.connectors.models import Claim, Connector, PendingConnector
from cloud.rest import enrollment as doors
from cloud.rest import guesses
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
        (b"[" * 10_000, 400, "invalid_request"),
        (b'{"code": "a", "code": "b"}', 400, "invalid_request"),
        (b'{"code": NaN}', 400, "invalid_request"),
        (b'{"code": "\\ud800"}', 400, "invalid_request"),
        (b'{"co\\u0000de": "a"}', 400, "invalid_request"),
        ({**Machine().enroll_request("RW-0000"), "code": "RW\x00"}, 400, "invalid_request"),
        ({**Machine().enroll_request("RW-0000"), "code": True}, 400, "invalid_request"),
        ({**Machine().enroll_request("RW-0000"), "code": "x" * 101}, 400, "invalid_request"),
        ({**Machine().enroll_request("RW-0000"), "public_key": "A" * 43 + "="}, 404, "not_found"),
        ({**Machine().enroll_request("RW-0000"), "proof": "A" * 86 + "=="}, 404, "not_found"),
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


@pytest.fixture(autouse=True)
def _nobody_was_wrong_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    # A clock that stands: no test is at the end of a minute.
    monkeypatch.setattr(doors, "_guesses", guesses.Guesses(clock=lambda: 90.0))


DOORS = [wire.ENROLL_PATH, wire.REGISTER_PATH, wire.REGISTRATION_PATH]


def rows() -> list[int]:
    with scope.operator():
        return [model.objects.count() for model in (Connector, Claim, PendingConnector, AuditEvent)]


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_posting_is_possible(db: None, path: str, method: str) -> None:
    answer = Client().generic(method, path, b"{}", content_type="application/json")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    if method != "HEAD":
        assert (answer.json()["code"], answer.json()["status"]) == ("method_not_allowed", 405)


@pytest.mark.parametrize("path", DOORS)
def test_only_json_is_read(db: None, path: str) -> None:
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"):
        answer = Client().post(path, b"{}", content_type=media_type)
        assert (answer.status_code, answer.json()["code"]) == (415, "invalid_request")


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 5000, "\u00b2"])
def test_a_length_that_is_none_is_refused(db: None, path: str, length: str) -> None:
    answer = Client().post(path, b"{}", content_type="application/json", headers={"content-length": length})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_a_query_belongs_to_none_of_the_doors(acme: Tenant, make_code: MakeCode) -> None:
    answer = post(wire.ENROLL_PATH + "?code=1", Machine().enroll_request(make_code(acme)))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/v2/connectors", "/api/v3/projects", "/api/v2/connectors/enroll/x"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_where_nothing_is_a_program_is_told_so_in_its_own_form(db: None, path: str, method: str) -> None:
    answer = Client(enforce_csrf_checks=True).generic(method, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_what_was_not_foreseen_is_told_without_its_trace(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_facts: object) -> None:
        raise ZeroDivisionError("hunter2")

    monkeypatch.setattr(enrollment, "connector_enroll", fail)
    answer = post(wire.ENROLL_PATH, Machine().enroll_request("RW-0000"))
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert b"hunter2" not in answer.content


def test_who_guesses_codes_is_told_to_wait(acme: Tenant, make_code: MakeCode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "WRONG_A_MINUTE", 2)
    wrong = [post(wire.ENROLL_PATH, Machine().enroll_request(f"RW-{number}")) for number in range(3)]
    assert [answer.status_code for answer in wrong] == [404, 404, 429]
    assert (wrong[2].json()["code"], 1 <= int(wrong[2].headers["Retry-After"]) <= 60) == ("rate_limited", True)
    assert post(wire.ENROLL_PATH, Machine().enroll_request(make_code(acme))).status_code == 429


def test_a_wrong_code_and_no_code_at_all_are_told_alike(acme: Tenant, make_code: MakeCode) -> None:
    """Neither says whether it was close."""
    code = make_code(acme)
    wrong = code[:-1] + ("A" if code[-1] != "A" else "B")
    told = [post(wire.ENROLL_PATH, Machine().enroll_request(text)).json() for text in (wrong, "nonsense", "RW-")]
    assert told[0] == told[1] == told[2]
    assert told[0]["code"] == "not_found"


def test_a_right_code_without_its_proof_is_told_nothing_and_stays_good(acme: Tenant, make_code: MakeCode) -> None:
    machine, code = Machine(), make_code(acme)
    stolen = {**machine.enroll_request(code), "proof": Machine().enroll_request(code)["proof"]}
    assert post(wire.ENROLL_PATH, stolen).json()["code"] == "not_found"
    assert post(wire.ENROLL_PATH, machine.enroll_request(code)).status_code == 201


def test_a_code_that_was_used_or_is_too_old_makes_no_second_machine(acme: Tenant, make_code: MakeCode) -> None:
    used, old = make_code(acme), make_code(acme, ttl=timedelta(microseconds=1))
    assert post(wire.ENROLL_PATH, Machine().enroll_request(used)).status_code == 201
    before = rows()
    told = [post(wire.ENROLL_PATH, Machine().enroll_request(code)) for code in (used, old)]
    assert [(answer.status_code, answer.json()["code"]) for answer in told] == [(410, "expired")] * 2
    assert rows() == before


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
_FIELDS = st.sampled_from(["code", "public_key", "proof", "label", "machine", "issued_at", "surprise"])


@hypothesis.settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@hypothesis.given(path=st.sampled_from(DOORS), changed=st.dictionaries(_FIELDS, _JSON, min_size=1), junk=st.binary())
def test_whatever_is_sent_is_a_problem_and_changes_nothing(
    db: None, path: str, changed: dict[str, Any], junk: bytes
) -> None:
    before = rows()
    request = {**Machine().enroll_request("RW-0000"), **changed}
    for body in (json.dumps(request), junk):
        answer = post(path, body)
        assert 400 <= answer.status_code < 500, answer.content
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
    assert rows() == before


def test_too_many_waiting_machines_are_told_when_to_come_back(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrollment, "PENDING_MAX", 0)
    answer = post(wire.REGISTER_PATH, Machine().register_request())
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
