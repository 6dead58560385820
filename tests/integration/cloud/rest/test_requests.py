"""What every route refuses, in the words of the one table; and how often it may be asked."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from cloud.audit.models import AuditEvent
from cloud.limits import services as limits
from cloud.limits import standings
from cloud.limits.allowances import Allowance
from cloud.permissions.roles import Role
from cloud.rest import routes
from cloud.tenancy import scope
from local_daemon.protocol import errors
from local_daemon.protocol import limits as limited_sizes
from tests.integration.cloud.conftest import MakeMember
from tests.integration.cloud.rest.client import PREFIX, Api, told
from tests.integration.cloud.rest.conftest import MakeApi
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"{", (400, "invalid_request")),
        (b"[]", (400, "invalid_request")),
        (b"\xff", (400, "invalid_request")),
        (b"[" * 10_000, (400, "invalid_request")),
        (b'{"name": "a", "name": "b"}', (400, "invalid_request")),
        (b'{"name": NaN}', (400, "invalid_request")),
        (b'{"name": "\\ud800"}', (400, "invalid_request")),
        (b'{"name": "a\\u0000"}', (400, "invalid_request")),
        (b'{"name": "two\\nlines"}', (400, "invalid_request")),
        (b'{"name": "a", "surprise": 1}', (400, "invalid_request")),
        (b'{"name": 1}', (400, "invalid_request")),
        (b'{"name": ""}', (400, "invalid_request")),
        (b"{}", (400, "invalid_request")),
        (b"", (400, "invalid_request")),
        (b'{"name": "' + b"x" * (64 * 1024) + b'"}', (413, "payload_too_large")),
    ],
)
def test_a_body_that_does_not_hold_is_refused_and_changes_nothing(
    owner: Api, body: bytes, answer: tuple[int, str]
) -> None:
    assert told(owner.ask("POST", "/workspaces", body)) == answer
    assert [row["name"] for row in owner.get("/workspaces")["items"]] == ["main"]


def test_a_refusal_names_the_field_and_not_what_was_sent(owner: Api) -> None:
    refused = owner.ask("POST", "/tokens", {"name": "x", "scopes": ["runs:read", "s3cret"]})
    assert refused.json()["attributes"]["errors"][0]["field"] == "scopes.1"
    assert "s3cret" not in refused.content.decode()


def test_a_body_of_another_kind_is_refused(owner: Api) -> None:
    sent = owner.ask("POST", "/workspaces", b'{"name": "a"}', content_type="text/plain")
    assert told(sent) == (415, "invalid_request")


def test_what_takes_no_body_takes_an_empty_object_at_most(owner: Api, acme: Tenant) -> None:
    path = f"/projects/{acme.project.id}/suspend"
    assert told(owner.ask("POST", path, {"now": True})) == (400, "invalid_request")
    assert owner.ask("POST", path, {}).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=201", "limit=ten", "limit=1.5", "limit=10&limit=10", "surprise=1", "cursor=x", "cursor=",
        "cursor=%00", "search=%00", "search=%ed%a0%80", "status=gone", "search=" + "x" * 201, "%", "a" * 5000,
    ],
)  # fmt: skip
def test_a_query_that_does_not_hold_is_refused(owner: Api, query: str) -> None:
    assert told(owner.ask("GET", f"/workspaces?{query}")) == (400, "invalid_request")


def test_what_takes_no_query_refuses_one(owner: Api) -> None:
    assert told(owner.ask("GET", "/me?x=1")) == (400, "invalid_request")


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/me/", "/workspaces/not-an-id", "/runs/run_x", "/runs/%00"])
def test_a_path_that_is_none_is_not_found(owner: Api, path: str) -> None:
    assert told(owner.ask("GET", path)) == (404, "not_found")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND"])
def test_a_method_that_the_path_does_not_take_is_refused_with_those_it_takes(owner: Api, method: str) -> None:
    refused = owner.ask(method, "/workspaces")
    assert refused.status_code == 405
    assert refused.headers["Allow"] == "GET, POST"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "rw_x", "Bearer \x7f"])
def test_who_presents_no_token_is_told_to(header: str | None, db: None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = Client().get(f"{PREFIX}/me", headers=headers)
    assert told(answer) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="ropeway"'


def test_a_session_of_the_admin_opens_nothing_here(acme: Tenant, make_member: MakeMember) -> None:
    client = Client()
    client.force_login(make_member(acme, Role.ORG_OWNER).user)
    assert told(client.get(f"{PREFIX}/me")) == (401, "unauthenticated")


def test_a_superusers_session_beside_a_token_does_not_matter(acme: Tenant, owner: Api, django_user_model: Any) -> None:
    owner.client.force_login(django_user_model.objects.create_superuser("root@example.com", "a long password"))
    assert owner.get("/me")["organization"]["organization_id"] == str(acme.id)


def test_answers_are_for_nobody_to_keep(owner: Api) -> None:
    for answer in (owner.ask("GET", "/me"), owner.ask("GET", "/workspaces/x"), owner.ask("GET", "/me?x=1")):
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_denial_is_audited_in_the_callers_organization(
    acme: Tenant, globex: Tenant, make_api: MakeApi, make_member: MakeMember
) -> None:
    api = make_api(acme, member=make_member(acme, Role.PROJECT_OPERATOR, project=acme.project))
    assert told(api.ask("POST", "/workspaces", {"name": "x"})) == (403, "forbidden")
    assert told(api.ask("GET", f"/projects/{globex.project.id}")) == (404, "not_found")
    with scope.organization(acme.id):
        rows = AuditEvent.objects.filter(event_type="call:denied").order_by("id")
        found = [(row.details["operation"], row.details["code"], row.target_id) for row in rows]
    assert found == [
        ("workspaces.create", "forbidden", "workspaces.create"),
        ("projects.get", "not_found", str(globex.project.id)),
    ]
    with scope.organization(globex.id):
        assert not AuditEvent.objects.filter(event_type="call:denied").exists()


@pytest.fixture
def limited(acme: Tenant) -> Callable[[int], None]:
    def limit(calls: int) -> None:
        with scope.organization(acme.id):
            limits.organization_limits_set(
                organization_id=acme.id,
                allowance=Allowance(calls_per_minute=calls, calls_burst=calls),
                actor=acme.principal(),
            )
        standings.standings_forget()

    return limit


def test_who_asks_too_often_is_told_when_to_ask_again(owner: Api, limited: Callable[[int], None]) -> None:
    limited(3)
    answers = [owner.ask("GET", "/me") for _ in range(6)]
    assert [answer.status_code for answer in answers[:3]] == [200, 200, 200]
    refused = answers[-1]
    assert told(refused) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.json()["retryable"] is True


@pytest.mark.parametrize(
    ("path", "sent", "refusal"),
    [
        ("/runs", {"body": b"{"}, 400),
        ("/runs", {"body": {"objective": "Try it."}}, 400),
        ("/runs?surprise=1", {"body": {}}, 400),
        ("/runs", {"body": b"{}", "content_type": "text/plain"}, 415),
        ("/runs", {"body": b'{"objective": "' + b"x" * limited_sizes.BODY_BYTES + b'"}'}, 413),
        ("/gates/gate_00000000000000000000000000/decide", {"body": {"decision": "reject"}}, 404),
    ],
)
def test_what_never_comes_to_a_machine_counts_as_well(
    owner: Api, limited: Callable[[int], None], path: str, sent: dict[str, Any], refusal: int
) -> None:
    limited(3)
    answers = [owner.ask("POST", path, **sent) for _ in range(6)]
    assert [answer.status_code for answer in answers[:3]] == [refusal] * 3
    assert told(answers[-1]) == (429, "rate_limited")


def test_what_fails_unexpectedly_is_told_as_internal_and_no_more(
    owner: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_args: Any, **_facts: Any) -> None:
        raise RuntimeError("s3cret")

    monkeypatch.setattr("cloud.tenancy.selectors.organization_find", fail)
    answer = owner.ask("GET", "/me")
    assert told(answer) == (500, "internal")
    assert "s3cret" not in answer.content.decode()
    assert "RuntimeError" in caplog.text


def test_every_code_that_is_told_is_one_of_the_table() -> None:
    document = routes.document_build()
    assert document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] == list(errors.TABLE)
