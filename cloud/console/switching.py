"""Choosing the organization that one looks at: one at a time, among those one is a member of.

Tests: tests/integration/cloud/console/test_switching.py.
"""

from django.contrib import admin
from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from cloud.console import middleware


@require_http_methods(["GET", "POST"])
@staff_member_required
def switch(request: HttpRequest) -> HttpResponse:
    """Show the organizations, or keep the chosen one in the session."""
    memberships = middleware.memberships_of(request)
    chosen = request.POST.get("organization")
    if chosen in {str(row.organization_id) for row in memberships}:
        request.session[middleware.SESSION_KEY] = chosen
        return HttpResponseRedirect(reverse("admin:index"))
    context = {
        **admin.site.each_context(request),
        "title": "Organizations",
        "memberships": memberships,
        "current": middleware.organization_of(request),
    }
    return TemplateResponse(request, "console/organizations.html", context)
