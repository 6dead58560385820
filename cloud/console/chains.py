"""The audit's chains, for the installation's operators: those of organizations, of what they were that are gone, and
the installation's own. To look at only; `cloudctl audit verify` walks them.

Called by `admin/audit.py`. Tests: tests/integration/cloud/console/test_chains.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from cloud.audit import selectors
from cloud.audit.installation import INSTALLATION, NAME
from cloud.audit.selectors import ChainHead
from cloud.console import viewer
from cloud.tenancy.models import Organization

SHOWN_ROWS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One of them. `standing`: its organization's status, `purged`, or `installation`."""

    name: str
    standing: str
    head: ChainHead


class ChainFilter(admin.SimpleListFilter):
    """Rows of one chain, for operators: the installation's, and whichever the page of chains led to."""

    title = "chain"
    parameter_name = "chain"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Nothing to choose for who sees one chain only."""
        if viewer.principal_of(request) is not None:
            return []
        return [(str(chain_id), name) for chain_id, name in names_of([INSTALLATION, *self._chosen()]).items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of the chosen one; what is no id chooses nothing."""
        chosen = self._chosen() if self.lookup_choices else []
        return queryset.filter(organization_id=chosen[0]) if chosen else queryset

    def _chosen(self) -> list[UUID]:
        try:
            return [UUID(str(self.value()))]
        except ValueError:
            return []


def named(rows: QuerySet[Any]) -> QuerySet[Any]:
    """With the name of each row's organization as `chain_name`: none is left out for being of one that is gone."""
    found = Organization.objects.filter(pk=OuterRef("organization_id"))
    return rows.annotate(chain_name=Subquery(found.values("name")[:1]))


def name_in(row: Model) -> str:
    """What the chain of a row that was `named` is called."""
    chain_id: UUID = row.organization_id  # type: ignore[attr-defined]
    return row.chain_name or _nameless(chain_id)  # type: ignore[attr-defined]


def names_of(chain_ids: Iterable[UUID]) -> dict[UUID, str]:
    """What chains are called, in that order."""
    wanted = list(dict.fromkeys(chain_ids))
    found = Organization.objects.in_bulk(wanted)
    return {chain_id: found[chain_id].name if chain_id in found else _nameless(chain_id) for chain_id in wanted}


def chains_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """All of them, fifty a page. Raises PermissionDenied for whoever is no operator."""
    if not request.user.is_superuser:
        raise PermissionDenied
    shown = Paginator(selectors.chain_ids(), SHOWN_ROWS).get_page(request.GET.get("page"))
    heads = selectors.chain_heads(list(shown))
    organizations = Organization.objects.in_bulk([head.id for head in heads])
    rows = [_chain(head, organizations.get(head.id)) for head in heads]
    return TemplateResponse(request, "console/chains.html", {**context, "page": shown, "chains": rows})


def _chain(head: ChainHead, organization: Organization | None) -> Chain:
    if organization is not None:
        return Chain(name=organization.name, standing=organization.status, head=head)
    if head.id == INSTALLATION:
        return Chain(name=NAME, standing="installation", head=head)
    return Chain(name=head.slug or str(head.id), standing="purged", head=head)


def _nameless(chain_id: UUID) -> str:
    # Its tail tells one from another; all of it is on the page of chains, in the rows' addresses.
    return NAME if chain_id == INSTALLATION else f"purged …{str(chain_id)[-8:]}"
