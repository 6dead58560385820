"""What every page about a tenant's rows has in common: readable by whoever may, changed by services only.

Row-level security already hides other tenants' rows; this names the organization in every query all the same, adds
what a person's role may read, and narrows to their projects where they are bound to some. What is out of reach does not
exist. Tests: tests/integration/cloud/console/test_pages.py and test_strangers.py.
"""

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from unfold.admin import ModelAdmin

from cloud.access import authorization
from cloud.access.principals import Grant, Principal
from cloud.console import denials, lists, viewer
from local_daemon.protocol import errors
from local_daemon.protocol.scopes import Scope

Act = Callable[[Any], Any]
_REFUSALS_TOLD = 5


class RowOrNothing(ModelAdmin):
    """A page whose rows are either within reach or not there: Django would say that one may not, or look elsewhere."""

    # Beside each choice of a filter, how many rows it has: counted over all of them, without a bound.
    show_facets = ShowFacets.NEVER

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Whether a list may be asked for that: what its filters offer. Django would take a look at any column of the
        rows, by which what no page shows (a secret's digest, what a call carried) is guessed letter by letter."""
        return lists.is_offered(self, request, lookup) and bool(super().lookup_allowed(lookup, value, request))

    def get_changelist(self, request: HttpRequest, **_kwargs: Any) -> type[lists.BoundedList]:
        """A list that counts to a bound."""
        return lists.BoundedList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row. Raises Http404 for one that is out of reach, as for one that never was."""
        found = super().get_object(request, object_id, from_field)
        if found is None:
            raise Http404
        return found


class TenantAdmin(RowOrNothing):
    """A page that shows rows and changes none; actions call services with a grant."""

    reads: ClassVar[Scope]
    """What a person's role must allow to see these pages."""
    project_lookup: ClassVar[str | None] = None
    """The field that holds a project's id; None: people bound to projects see nothing here."""
    organization_lookup: ClassVar[str] = "organization_id"
    """The field that holds the organization's id."""

    list_per_page = 50
    # Counting all rows costs more than the page; counting ends at a bound.
    show_full_result_count = False
    paginator = lists.BoundedPaginator
    actions: Any = ()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, or what an action of it came to. Raises PermissionDenied for one that the viewer may not take:
        Django would only not offer it, and say that none was chosen."""
        asked = set(self.actions).intersection(request.POST.getlist("action"))
        if asked and not asked <= set(self.get_actions(request)):
            raise PermissionDenied
        return super().changelist_view(request, extra_context)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows within the viewer's reach. Raises PermissionDenied for who may read none of this kind."""
        rows = super().get_queryset(request)
        principal = viewer.principal_of(request)
        if principal is None:
            return rows
        if self.reads not in principal.scopes:
            raise PermissionDenied
        # The fence says the same; said here, the planner can use an index on it.
        rows = rows.filter(**{self.organization_lookup: principal.organization_id})
        seen = self.within(authorization.authorize(principal, self.reads))
        if seen is not None:
            return rows.filter(pk__in=seen.values("pk"))
        return rows if principal.project_ids is None else self.bounded(rows, principal)

    def within(self, grant: Grant) -> QuerySet[Any] | None:
        """The rows within a grant's reach, as the selectors of every other surface have them; None: the fields say."""
        return None

    def bounded(self, rows: QuerySet[Any], principal: Principal) -> QuerySet[Any]:
        """Those of the rows that a person sees who is bound to some projects."""
        if self.project_lookup is None:
            return rows.none()
        return rows.filter(**{f"{self.project_lookup}__in": principal.project_ids})

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Listed for whoever may see it."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the viewer's role may read this."""
        return self.may(request, self.reads)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Rows are made by services."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Rows are changed by services."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Rows stay."""
        return False

    def add_view(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Rows are made on pages of their own."""
        raise Http404

    def delete_view(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Rows stay."""
        raise Http404

    def history_view(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """What happened stands in the audit."""
        raise Http404

    def may(self, request: HttpRequest, scope: Scope) -> bool:
        """Whether the viewer may do this somewhere: for showing a button, not for deciding."""
        if request.user.is_superuser:
            return True
        principal = viewer.principal_of(request)
        return principal is not None and scope in principal.scopes

    def grant(self, request: HttpRequest, scope: Scope, row: Any) -> Grant:
        """The viewer's grant to do this to a row of an organization. Raises Forbidden."""
        principal = viewer.principal_of(request, organization_id=row.organization_id)
        if principal is None:
            raise errors.Forbidden
        return authorization.authorize(principal, scope)

    def act_on(
        self, request: HttpRequest, rows: QuerySet[Any], *, done: str, is_done: Callable[[Any], bool], act: Act
    ) -> None:
        """A list's action: `act` on each chosen row that `is_done` does not hold of yet; then how many that were, in
        the words of `done`, how many needed nothing, and what was refused, row by row."""
        acted, refused, total = 0, [], 0
        for row in rows:
            total += 1
            if is_done(row):
                continue
            try:
                act(row)
            except errors.RopewayError as error:
                refused.append(f"{row}: {error.detail}")
                denials.denial_mark(request, error, action=request.POST.get("action", ""), row=row)
            else:
                acted += 1
        for sentence in refused[:_REFUSALS_TOLD]:
            self.message_user(request, sentence, level=messages.ERROR)
        if len(refused) > _REFUSALS_TOLD:
            self.message_user(request, f"{len(refused) - _REFUSALS_TOLD} more were refused.", level=messages.ERROR)
        rest = total - acted - len(refused)
        if acted:
            more = f" {rest} {'was' if rest == 1 else 'were'} so already." if rest else ""
            self.message_user(request, f"{self._counted(acted)} {done}.{more}", level=messages.SUCCESS)
        elif not refused:
            said = f"{self._counted(rest)} {done} already: nothing was changed." if rest else "Nothing was changed."
            self.message_user(request, said, level=messages.WARNING)

    def _counted(self, count: int) -> str:
        opts = self.opts
        return f"{count} {opts.verbose_name} is" if count == 1 else f"{count} {opts.verbose_name_plural} are"
