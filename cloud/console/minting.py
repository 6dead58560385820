"""Tokens on pages: minted and rotated with the secret told once, revoked, and a service's taken over.

Deliberately offers only what the viewer themselves may do: the service refuses more. Called by `admin/access.py`.
Tests: tests/integration/cloud/console/test_acts.py.
"""

from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from cloud.access import authorization, services
from cloud.access.models import Token, TokenKind
from cloud.console import asking, projects, viewer
from cloud.console.asking import Done, Question, Told
from cloud.console.tenant_admin import TenantAdmin
from local_daemon.protocol import errors, limits
from local_daemon.protocol.scopes import Scope

_ONCE = "This is the token. It is shown this once and kept nowhere: copy it now."
DAYS_MAX = 366
WORDS = MappingProxyType(
    {
        Scope.PROJECTS_READ: "see projects, and which machines they are on",
        Scope.PROJECTS_WRITE: "make, rename, suspend and delete projects",
        Scope.RUNS_READ: "see runs, and what happens in them",
        Scope.RUNS_WRITE: "start, close and cancel runs",
        Scope.STEPS_READ: "see steps, their results, checks and output",
        Scope.STEPS_WRITE: "have work done: submit, retry, cancel and resolve steps",
        Scope.GATES_READ: "see what waits for a decision",
        Scope.GATES_DECIDE: "take decisions: approve and reject changes, apply them, answer questions",
        Scope.ARTIFACTS_READ: "read patches and other files that work left",
        Scope.CONNECTORS_READ: "see machines, daemons and repositories",
        Scope.CONNECTORS_WRITE: "enroll, claim, move and shut out machines",
        Scope.TOKENS_READ: "see tokens, without their secrets",
        Scope.TOKENS_WRITE: "mint, rotate and revoke tokens",
        Scope.MEMBERS_READ: "see who is a member",
        Scope.MEMBERS_WRITE: "invite, change and remove members",
        Scope.WORKSPACES_READ: "see workspaces",
        Scope.WORKSPACES_WRITE: "make, rename, suspend and delete workspaces",
        Scope.ORGANIZATION_READ: "see the organization’s own record",
        Scope.ORGANIZATION_WRITE: "rename, suspend and delete the organization",
        Scope.AUDIT_READ: "read and export who did what",
        Scope.USAGE_READ: "see use, cost and limits",
    }
)
"""What each scope lets one do, for who ticks it."""
USUAL = frozenset(
    {
        Scope.PROJECTS_READ,
        Scope.RUNS_READ,
        Scope.RUNS_WRITE,
        Scope.STEPS_READ,
        Scope.STEPS_WRITE,
        Scope.GATES_READ,
        Scope.ARTIFACTS_READ,
    }
)
"""Ticked at first: what a planner needs to have work done and to read what came of it. Decisions stay with people."""


class MintForm(forms.Form):
    """What the token is for, and what it may do."""

    name = forms.CharField(max_length=limits.TITLE_CHARACTERS, widget=UnfoldAdminTextInputWidget)
    kind = forms.ChoiceField(
        choices=[
            (TokenKind.PLANNER, "planner: an AI client's; works, and administers nothing"),
            (TokenKind.SERVICE, "service: a program's; changes hands when its holder leaves"),
            (TokenKind.PERSONAL, "personal: your own, for a shell or a script"),
        ],
        widget=UnfoldAdminSelectWidget,
    )
    days = forms.IntegerField(
        min_value=1,
        max_value=DAYS_MAX,
        initial=90,
        required=False,
        label="Days it is good",
        help_text="Empty: until it is revoked.",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    scopes = forms.MultipleChoiceField(
        widget=UnfoldAdminCheckboxSelectMultipleWidget, help_text="It never goes beyond what you may do, now or later."
    )

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        super().__init__(*args)
        principal = viewer.principal_of(request)
        mine = principal.scopes if principal else frozenset()
        scopes = self.fields["scopes"]
        assert isinstance(scopes, forms.MultipleChoiceField)
        scopes.choices = [(scope.value, f"{scope.value}: {WORDS[scope]}") for scope in Scope if scope in mine]
        scopes.initial = [scope.value for scope in Scope if scope in mine & USUAL]
        self.fields["projects"] = projects.projects_field(request, help_text="None chosen: everywhere you reach.")


class RotateForm(forms.Form):
    """How long both work."""

    hours = forms.IntegerField(
        min_value=0,
        max_value=int(services.OVERLAP_MAX.total_seconds() // 3600),
        initial=24,
        label="Hours the old one goes on",
        help_text="So that whoever uses it can be given the new one first. 0: it ends now.",
        widget=UnfoldAdminIntegerFieldWidget,
    )


def mint_page(page: TenantAdmin, request: HttpRequest) -> HttpResponse:
    """Mint a token in the viewer's name."""
    principal = viewer.principal_of(request)
    if principal is None:
        raise errors.Forbidden
    question = Question(
        title="Mint a token",
        explains=f"The token acts in {principal.label}'s name, and ends when they leave the organization.",
        button="Mint the token",
    )

    def mint(given: dict[str, Any]) -> Told:
        ends = datetime.now(UTC) + timedelta(days=given["days"]) if given["days"] else None
        token, secret = services.token_mint(
            grant=authorization.authorize(principal, Scope.TOKENS_WRITE),
            name=given["name"],
            kind=TokenKind(given["kind"]),
            scopes=[Scope(word) for word in given["scopes"]],
            project_ids=[project.id for project in given["projects"]] or None,
            expires_at=ends,
        )
        return Told(secret=secret, explains=_ONCE, next_url=asking.row_url(page, token))

    return asking.ask(page, request, question, MintForm(request, asking.given(request)), mint)


def rotate_page(page: TenantAdmin, request: HttpRequest, token: Token) -> HttpResponse:
    """Put another token in its place."""
    question = Question(
        title=f"Rotate {token.name}",
        explains="A new token takes this one's place, with the same rights. The old one ends by itself.",
        button="Rotate",
        facts=_facts(token),
    )

    def rotate(given: dict[str, Any]) -> Told:
        made, secret = services.token_rotate(
            grant=page.grant(request, Scope.TOKENS_WRITE, token),
            token_id=token.id,
            overlap=timedelta(hours=given["hours"]),
        )
        return Told(secret=secret, explains=_ONCE, next_url=asking.row_url(page, made))

    return asking.ask(page, request, question, RotateForm(asking.given(request)), rotate)


def revoke_page(page: TenantAdmin, request: HttpRequest, token: Token) -> HttpResponse:
    """End it."""
    question = Question(
        title=f"Revoke {token.name}",
        explains="It is refused from now on, with every token that it made. This cannot be taken back.",
        button="Revoke it",
        facts=_facts(token),
        is_grave=True,
    )

    def revoke(_given: dict[str, Any]) -> Done:
        services.token_revoke(grant=page.grant(request, Scope.TOKENS_WRITE, token), token_id=token.id)
        return Done(message=f"{token.name} is revoked.", next_url=asking.row_url(page, token))

    return asking.ask(page, request, question, asking.ChangeForm(asking.given(request)), revoke)


def adopt_page(page: TenantAdmin, request: HttpRequest, token: Token) -> HttpResponse:
    """Become its holder."""
    question = Question(
        title=f"Take over {token.name}",
        explains="You become its holder: it goes on when its maker leaves, and can do no more than you can.",
        button="Take it over",
        facts=_facts(token),
    )

    def adopt(_given: dict[str, Any]) -> Done:
        services.token_adopt(grant=page.grant(request, Scope.TOKENS_WRITE, token), token_id=token.id)
        return Done(message=f"You hold {token.name} now.", next_url=asking.row_url(page, token))

    return asking.ask(page, request, question, asking.ChangeForm(asking.given(request)), adopt)


def _facts(token: Token) -> dict[str, Any]:
    return {
        "begins with": f"{token.prefix}…",
        "kind": token.kind,
        "may": ", ".join(token.scopes),
        "expires": token.expires_at or "never",
        "last used": token.last_used_at or "never",
    }
