"""Limits on pages: what an organization or a token may use, what is left of it and when it begins anew; and setting it.

A token's are set by who administers tokens, an organization's by an operator of the installation; everybody else looks.
Called by `admin/access.py`, `admin/tenancy.py` and `admin/limits.py`. Tests:
tests/integration/cloud/console/test_allotting.py.
"""

from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminIntegerFieldWidget

from cloud.access.models import Token
from cloud.console import asking, viewer
from cloud.console.asking import Done, Question, Table
from cloud.console.templatetags.console_numbers import dollars
from cloud.console.tenant_admin import TenantAdmin
from cloud.limits import remaining, selectors, services
from cloud.limits.allowances import AMOUNT_MAX, CALLS_MAX, Allowance
from cloud.limits.remaining import Remaining
from cloud.limits.selectors import LimitUse
from cloud.tenancy.models import Organization
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

_MILLION = 1_000_000
_NAMES = MappingProxyType(
    {
        "calls_per_minute": ("Calls a minute", "as time passes"),
        "runs_at_once": ("Runs at once", "when one ends"),
        "artifact_bytes_per_day": ("Artifacts a day", ""),
        "cost_micros_per_month": ("Cost a month", ""),
    }
)
_HEAD = ("Limit", "Allowed", "Used", "Left", "Begins anew", "Set")
_FALLS_BACK = "What is left empty falls back to the installation's own."
_BY_OPERATORS = "The installation's operators set them."


class LimitsForm(asking.ChangeForm):
    """What to allow; nothing: as the installation does."""

    calls_per_minute = forms.IntegerField(
        min_value=1,
        max_value=CALLS_MAX,
        required=False,
        label="Calls a minute",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    calls_burst = forms.IntegerField(
        min_value=1,
        max_value=CALLS_MAX,
        required=False,
        label="Calls at once",
        help_text="After a pause. Empty: a tenth of a minute's, 10 at least.",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    runs_at_once = forms.IntegerField(
        min_value=0, max_value=CALLS_MAX, required=False, label="Runs at once", widget=UnfoldAdminIntegerFieldWidget
    )
    artifact_bytes_per_day = forms.DecimalField(
        min_value=0,
        max_value=Decimal(AMOUNT_MAX) / _MILLION,
        decimal_places=6,
        required=False,
        label="Artifacts a day, in megabytes",
        widget=UnfoldAdminDecimalFieldWidget,
    )
    cost_micros_per_month = forms.DecimalField(
        min_value=0,
        max_value=Decimal(AMOUNT_MAX) / _MILLION,
        decimal_places=6,
        required=False,
        label="Cost a month, in US dollars",
        help_text="As far as executors report what they cost.",
        widget=UnfoldAdminDecimalFieldWidget,
    )

    def allowance(self) -> Allowance:
        """What was asked for. Raises InvalidRequest."""
        given = self.cleaned_data
        return Allowance(
            calls_per_minute=given["calls_per_minute"],
            calls_burst=given["calls_burst"],
            runs_at_once=given["runs_at_once"],
            artifact_bytes_per_day=_whole(given["artifact_bytes_per_day"]),
            cost_micros_per_month=_whole(given["cost_micros_per_month"]),
        )


def organization_page(page: TenantAdmin, request: HttpRequest, row: Organization) -> HttpResponse:
    """What all of an organization together may use."""
    may_set = bool(request.user.is_superuser)
    use = selectors.limit_use(organization_id=row.id, token_id=None)
    question = Question(
        title=f"Limits of {row.name}",
        explains=f"For all of its people and tokens together. {_FALLS_BACK if may_set else _BY_OPERATORS}",
        button="Set them" if may_set else "",
        table=_table(use),
    )
    form = _form(request, use)

    def change(given: dict[str, Any]) -> Done:
        principal = viewer.principal_of(request, organization_id=row.id)
        if principal is None:
            raise errors.Forbidden
        services.organization_limits_set(
            organization_id=row.id,
            allowance=form.allowance(),
            expected_version=given["version"] or 0,
            actor=principal,
        )
        return Done(message=f"The limits of {row.name} are set.", next_url=request.path)

    _only_who_may(request, may_set)
    return asking.ask(page, request, question, form, change)


def token_page(page: TenantAdmin, request: HttpRequest, row: Token) -> HttpResponse:
    """What one token may use, of what its organization may."""
    may_set = page.may(request, Scope.TOKENS_WRITE)
    use = selectors.token_limits_get(grant=page.grant(request, Scope.USAGE_READ, row), token_id=row.id)
    question = Question(
        title=f"Limits of {row.name}",
        explains=f"Within what its organization may use. {_FALLS_BACK}",
        button="Set them" if may_set else "",
        table=_table(use),
    )
    form = _form(request, use)

    def change(given: dict[str, Any]) -> Done:
        services.token_limits_set(
            grant=page.grant(request, Scope.TOKENS_WRITE, row),
            token_id=row.id,
            allowance=form.allowance(),
            expected_version=given["version"] or 0,
        )
        return Done(message=f"The limits of {row.name} are set.", next_url=request.path)

    _only_who_may(request, may_set)
    return asking.ask(page, request, question, form, change)


def _only_who_may(request: HttpRequest, may_set: bool) -> None:
    if request.method == "POST" and not may_set:
        raise PermissionDenied


def _form(request: HttpRequest, use: LimitUse) -> LimitsForm:
    own = use.own
    shown = {
        "version": use.version,
        "calls_per_minute": own.calls_per_minute,
        "calls_burst": own.calls_burst,
        "runs_at_once": own.runs_at_once,
        "artifact_bytes_per_day": _millions(own.artifact_bytes_per_day),
        "cost_micros_per_month": _millions(own.cost_micros_per_month),
    }
    return LimitsForm(asking.given(request), initial=shown)


def _table(use: LimitUse) -> Table:
    used = {
        "calls_per_minute": use.calls_last_minute,
        "runs_at_once": use.runs_under_way,
        "artifact_bytes_per_day": use.artifact_bytes_today,
        "cost_micros_per_month": use.cost_micros_this_month,
    }
    found = remaining.remaining_of(own=use.own, allowance=use.allowance, used=used, now=datetime.now(UTC))
    return Table(title="Now", head=_HEAD, rows=tuple(_row(one) for one in found))


def _row(one: Remaining) -> tuple[str, ...]:
    name, gradually = _NAMES[one.name]
    allowed, left = _spelled(one.name, one.allowed), _spelled(one.name, one.left)
    source = "here" if one.is_own else "by the installation" if one.allowed is not None else ""
    anew = gradually if one.begins_anew_at is None else f"{one.begins_anew_at:%-d %B, %H:%M} UTC"
    return (name, allowed or "unlimited", _spelled(one.name, one.used), left, anew if allowed else "", source)


def _spelled(name: str, amount: int | None) -> str:
    if amount is None:
        return ""
    if name == "artifact_bytes_per_day":
        return f"{amount / _MILLION:,.2f} MB"
    return dollars(amount) if name == "cost_micros_per_month" else f"{amount:,}"


def _whole(millions: Decimal | None) -> int | None:
    return None if millions is None else int(millions * _MILLION)


def _millions(amount: int | None) -> str | None:
    """Written out, for `normalize` makes 5E+2 of 500."""
    return None if amount is None else f"{(Decimal(amount) / _MILLION).normalize():f}"
