"""Every address of the admin × GET and POST, tried by each role, here, beside, and from another tenant.

The addresses are read from the URL conf, so a page that is added tomorrow is tried tomorrow; what is expected of it
stands in tests/contract/permissions.csv. `forbidden` and `not_found` say what was answered, `allow` that the page let
them through, whatever it then found wrong with what was sent. Nothing of it stays."""

import copy
import functools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib import admin, auth
from django.contrib.contenttypes.models import ContentType
from django.contrib.messages import get_messages
from django.db import connection, models, transaction
from django.http import HttpRequest
from django.http.response import HttpResponseRedirectBase
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, resolve, reverse
from django_q.models import Schedule
from pytest_django.plugin import DjangoDbBlocker

from cloud.access import selectors as access_selectors
from cloud.access.models import Token, TokenKind
from cloud.accounts.models import User
from cloud.audit.models import AuditEvent
from cloud.connectors.models import Connector
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from cloud.tenancy import selectors as tenancy_selectors
from cloud.tenancy import services as tenancy
from cloud.tenancy.models import Organization, Project, Status, Workspace
from tests.contract import permissions
from tests.integration.cloud.everything import Rows, everything_make
from tests.integration.cloud.tenants import member_make, tenant_make

pytestmark = pytest.mark.usefixtures("undrawn")

PREFIX = "admin "
METHODS = ("GET", "POST")
# What programs ask, each held to the same file by the tests of its own surface.
_ELSEWHERE = ("api", "^api", "healthz")
_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")
MODELS = {(page.opts.app_label, page.opts.model_name): page.model for page in admin.site._registry.values()}
# Without anybody's session: where one gets in.
_DOORS = {"admin/login/", "admin/jsi18n/", "join/<secret>"}
_LISTS = {reverse(f"admin:{label}_{name}_changelist") for label, name in MODELS}
NOBODY = "nobody"
_WRITES = re.compile(r'\s*(?:INSERT INTO|UPDATE|DELETE FROM) "?(\w+)', re.IGNORECASE)
_RECORDS = {"audit_auditevent", "limits_runstart", "limits_usage", "limits_usagecursor"}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One address, as the URL conf has it; `action` is one of its list's, chosen for a row."""

    route: str
    action: str = ""

    @property
    def room(self) -> str:
        """The application whose pages it is one of; `-` for a page of no application."""
        second = self.route.split("/")[1]
        return second if any(label == second for label, _ in MODELS) else "-"

    @property
    def model(self) -> type[models.Model] | None:
        """Whose rows it is about."""
        parts = self.route.split("/")
        return Token if parts[1] == "r" else MODELS.get((parts[1], parts[2])) if len(parts) > 2 else None

    @property
    def takes_row(self) -> bool:
        return bool(self.action) or "<object_id>" in self.route or "<id>" in self.route

    def surface(self, method: str) -> str:
        route = f"- /{self.route}" if self.room == "-" else self.route.removeprefix("admin/")
        return f"{PREFIX}{route} {self.action or method}"


def _routes(patterns: list[Any], before: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, f"{before}{pattern.pattern}")
        elif isinstance(pattern, URLPattern):
            yield before + _ARGUMENT.sub(lambda found: f"<{found[1] or found[2]}>", str(pattern.pattern)).strip("^$")


def _views() -> Iterator[View]:
    for route in _routes(get_resolver().url_patterns):
        # The bare address only leads to the admin: test_doors.py.
        if route and not route.startswith(_ELSEWHERE):
            yield View(route=route)
    for page in admin.site._registry.values():
        names = [name if isinstance(name, str) else name.__name__ for name in page.actions or ()]
        for name in names:
            yield View(route=f"admin/{page.opts.app_label}/{page.opts.model_name}/", action=name)


VIEWS = sorted(_views(), key=lambda view: (view.route, view.action))
ROOMS = sorted({view.room for view in VIEWS})


Heard = tuple[Any, tuple[str, ...]]
"""An answer, and what was said along with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody's browser, as it is each time anew."""

    session: str
    browser: Client = field(default_factory=Client)
    seen: dict[str, Heard] = field(default_factory=dict)

    def ask(self, method: str, url: str, asked: dict[str, Any]) -> Heard:
        """The answer, or that to which it leads; but not a list, which is asked by itself."""
        answer, said = self._see(url) if method == "GET" else self._asked(method, url, asked)
        for _ in range(5):
            if not isinstance(answer, HttpResponseRedirectBase) or _is_landing(answer.url):
                return answer, said
            answer, more = self._see(answer.url)
            said = (*said, *more)
        raise AssertionError(f"{url} leads round and round")

    def _see(self, url: str) -> Heard:
        """A page, which changes nothing, so once: several addresses lead to the same one."""
        if url not in self.seen:
            self.seen[url] = self._asked("GET", url, {})
        return self.seen[url]

    def _asked(self, method: str, url: str, asked: dict[str, Any]) -> Heard:
        self.browser.cookies.clear()
        self.browser.cookies[settings.SESSION_COOKIE_NAME] = self.session
        answer = getattr(self.browser, method.lower())(url, asked)
        return answer, tuple(said.message for said in get_messages(answer.wsgi_request))


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A row of each kind here and beside, and everybody's browser."""

    rows: dict[str, Rows]
    visitors: dict[str, Visitor]


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """Made once: whatever is tried in it is rolled back, and so is all of it at the end. Sessions stand in the cookies
    themselves, where nobody has to look them up."""
    kept_in_cookies = override_settings(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies")
    with kept_in_cookies, django_db_blocker.unblock(), transaction.atomic():
        yield world_make()
        transaction.set_rollback(True)


def world_make() -> World:
    acme, globex = tenant_make("Acme"), tenant_make("Globex")
    with scope.organization(acme.id):
        elsewhere, _ = tenancy.workspace_ensure(organization_id=acme.id, name="elsewhere", actor=None)
        foreign, _ = tenancy.project_ensure(workspace=elsewhere, name="foreign", actor=None)
    people = {
        Role.ORG_OWNER: member_make(acme, Role.ORG_OWNER),
        Role.ORG_ADMIN: member_make(acme, Role.ORG_ADMIN),
        Role.WORKSPACE_ADMIN: member_make(acme, Role.WORKSPACE_ADMIN, workspace=acme.workspace),
        Role.PROJECT_OPERATOR: member_make(acme, Role.PROJECT_OPERATOR, project=acme.project),
        Role.PROJECT_VIEWER: member_make(acme, Role.PROJECT_VIEWER, project=acme.project),
        permissions.OTHER_OWNER: member_make(globex, Role.ORG_OWNER),
    }
    rows = {}
    for place, workspace, project in (("here", acme.workspace, acme.project), ("beside", elsewhere, foreign)):
        user = User.objects.create_user(f"{place}@example.com", "a long password")
        at = {Organization: acme.organization, Workspace: workspace, Project: project, User: user}
        rows[place] = everything_make(acme, at=at)
    with scope.organization(acme.id):
        # Nobody is there to answer, so pages say so at once; a token of a kind that another one may rotate.
        Connector.objects.update(link_owner="")
        Token.objects.update(kind=TokenKind.SERVICE, scopes=["runs:read"])
    visitors = {who: Visitor(session=_session(member.user)) for who, member in people.items()}
    return World(rows=rows, visitors={**visitors, NOBODY: Visitor(session="")})


def _session(user: User) -> str:
    browser = Client()
    browser.force_login(user)
    return browser.cookies[settings.SESSION_COOKIE_NAME].value


@pytest.fixture(autouse=True)
def found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who somebody is, of which organization, and what they may do there is found out once a room rather than for each
    of thousands of requests: nothing that is tried changes it for good."""
    find = auth.get_user
    people: dict[str, Any] = {}

    def person_of(request: HttpRequest) -> Any:
        session = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        if session not in people:
            people[session] = find(request)
        # A page may write on it.
        return copy.copy(people[session])

    monkeypatch.setattr(auth, "get_user", person_of)
    monkeypatch.setattr(tenancy_selectors, "memberships_of", functools.cache(tenancy_selectors.memberships_of))
    monkeypatch.setattr(access_selectors, "user_principal", functools.cache(access_selectors.user_principal))


def url_of(view: View, rows: Rows) -> str:
    row = rows.get(view.model) if view.model else None
    if row is None and view.model is Schedule:
        # Declared again after each test that commits, under other numbers.
        row = Schedule.objects.first()
    arguments = {
        "object_id": row.pk if row else "1",
        "id": row.pk if row else "1",
        "artifact_id": "art_" + "0" * 26,
        "app_label": "tenancy",
        "content_type_id": ContentType.objects.get_for_model(Token).pk,
        "secret": "x" * 40,
        "url": "nowhere",
    }
    return "/" + re.sub(r"<(\w+)>", lambda found: str(arguments[found[1]]), view.route)


def sent(view: View, rows: Rows) -> dict[str, Any]:
    """What a form of ours may ask for."""
    row = rows.get(view.model) if view.model else None
    return {
        "version": str(getattr(row, "version", 0)),
        "name": "other",
        "label": "other",
        "project": str(rows[Project].pk),
        "workspace": "",
        "role": Role.PROJECT_VIEWER.value,
        "projects": [str(rows[Project].pk)],
        "email": "somebody@example.com",
        "days": "1",
        "hours": "1",
        "minutes": "10",
        "kind": "planner",
        "scopes": ["runs:read"],
        **({"action": view.action, "_selected_action": str(row.pk)} if view.action and row else {}),
    }


def _disable() -> None:
    with scope.operator():
        Connector.objects.update(status=Status.DISABLED)


PREPARED: dict[str, Callable[[], None]] = {"enable_selected": _disable}
"""What makes an action one that changes something."""


def outcome_of(view: View, method: str, visitor: Visitor, rows: Rows) -> str | None:
    """What they are answered; None where the address takes no such method. Nothing of it stays."""
    if method == "GET":
        answer, said = visitor.ask("GET", url_of(view, rows), {})
        has_acted = True
    else:
        answer, said, has_acted = _posted(view, visitor, rows)
    if answer.status_code == 405:
        return None
    if answer.status_code == 403 or _is_at_the_door(answer, view):
        return "forbidden"
    if answer.status_code == 404 or any("Perhaps it was deleted" in sentence for sentence in said):
        return "not_found"
    if has_acted:
        return "allow"
    # Who may not act is offered no action, so that none was chosen; who may acts on the rows that they see.
    return "not_found" if set(said) - {"No action selected."} else "forbidden"


def _posted(view: View, visitor: Visitor, rows: Rows) -> tuple[Any, tuple[str, ...], bool]:
    """The answer, what was said, and whether anything was done: a list's action on a row that is not theirs does
    nothing, and the list is shown again."""
    with transaction.atomic():
        try:
            PREPARED.get(view.action, lambda: None)()
            before = _happened(rows) if view.action else 0
            answer, said = visitor.ask("POST", url_of(view, rows), sent(view, rows))
            return answer, said, not view.action or _happened(rows) > before
        finally:
            transaction.set_rollback(True)


def _happened(rows: Rows) -> int:
    with scope.operator():
        return AuditEvent.objects.filter(organization_id=rows[Organization].pk).count()


def _is_landing(url: str) -> bool:
    """Whether one is led to the door or to a list."""
    return resolve(urlsplit(url).path).url_name == "login" or urlsplit(url).path in _LISTS


def _is_at_the_door(answer: Any, view: View) -> bool:
    shown = urlsplit(answer.url).path if isinstance(answer, HttpResponseRedirectBase) else answer.request["PATH_INFO"]
    return view.route not in _DOORS and shown == reverse("admin:login")


def lines_found(world: World, room: str) -> Iterator[permissions.Line]:
    for view in VIEWS:
        if view.room != room:
            continue
        has_row = view.takes_row and (view.model in world.rows["here"] or view.model is User)
        for method in ("POST",) if view.action else METHODS:
            for target in ("here", "beside") if has_row else ("-",):
                rows = world.rows["beside" if target == "beside" else "here"]
                told = {who: outcome_of(view, method, world.visitors[who], rows) for who in permissions.ASKING}
                if set(told.values()) == {None}:
                    continue
                if target == "-" and told[permissions.OTHER_OWNER] == "allow":
                    told[permissions.OTHER_OWNER] = "own"
                yield (view.surface(method), target, *(str(told[who]) for who in permissions.ASKING))


def test_every_address_and_every_action_is_tried_once() -> None:
    assert [view for view, count in Counter(VIEWS).items() if count > 1] == []
    surfaces = {view.surface("POST") for view in VIEWS}
    assert {
        f"{PREFIX}access/token/<object_id>/rotate/ POST",
        f"{PREFIX}access/token/ revoke_selected",
        f"{PREFIX}runs/gatesnapshot/<object_id>/decide/ POST",
        f"{PREFIX}runs/stepsnapshot/<object_id>/artifact/<artifact_id>/ POST",
        f"{PREFIX}- /admin/organization/ POST",
        f"{PREFIX}- /join/<secret> POST",
    } <= surfaces


@pytest.mark.parametrize("room", ROOMS)
def test_each_role_gets_to_the_pages_that_were_reviewed_and_to_no_more(world: World, room: str) -> None:
    permissions.hold(f"{PREFIX}{room}{' ' if room == '-' else '/'}", lines_found(world, room))


@pytest.mark.parametrize("room", ROOMS)
def test_looking_changes_nothing(world: World, room: str) -> None:
    """But for the record of who looked for what they may not see, or took the audit along; and counts of what was used,
    which are brought up to date when somebody looks."""
    wrote = {}
    for view in VIEWS:
        if view.room != room or view.action:
            continue
        for who in (Role.ORG_OWNER, Role.PROJECT_VIEWER):
            with CaptureQueriesContext(connection) as seen:
                world.visitors[who]._asked("GET", url_of(view, world.rows["here"]), {})
            tables = {found[1] for query in seen if (found := _WRITES.match(query["sql"])) is not None}
            if tables - _RECORDS:
                wrote[view.route] = tables
    assert wrote == {}


def test_no_line_is_left_of_a_page_that_is_gone() -> None:
    rooms = {line[0].removeprefix(PREFIX).split("/")[0].strip() for line in permissions.reviewed(PREFIX)}
    assert rooms <= set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_nobody_gets_anywhere_without_signing_in(world: World, room: str) -> None:
    let_in = [
        view.surface(method)
        for view in VIEWS
        if view.room == room and view.route not in _DOORS
        for method in (("POST",) if view.action else METHODS)
        if outcome_of(view, method, world.visitors[NOBODY], world.rows["here"]) == "allow"
    ]
    assert let_in == []
