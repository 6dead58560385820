"""What Django answers: the admin, /api/cloud/v1, and the doors by which a machine comes in. Everything hot stands
before it (`asgi.py`)."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt

from cloud.console import error_pages
from cloud.rest import enrollment, health, problems, routes
from local_daemon.protocol import errors

urlpatterns = [
    path("healthz", health.healthz),
    path("api/v2/connectors/enroll", enrollment.enroll),
    path("api/v2/connectors/register", enrollment.register),
    path("api/v2/connectors/registration", enrollment.registration),
    *routes.urlpatterns,
    # Programs are answered in their own form, whatever they ask for.
    re_path(r"^api(?:/|$)", csrf_exempt(problems.no_such_path)),
    path("", include("cloud.console.urls")),
    path("admin/", admin.site.urls),
]


def broken(request: HttpRequest) -> HttpResponse:
    """What somebody is answered where we failed: programs in their form, people with a page."""
    if request.path.startswith("/api/"):
        return problems.problem_response(errors.Internal())
    return error_pages.broken(request)


def malformed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What somebody is answered whose request Django itself does not take, in the same way."""
    if request.path.startswith("/api/"):
        return problems.problem_response(
            errors.InvalidRequest("The request is malformed, or for a host that is not ours.")
        )
    return error_pages.malformed(request, exception)


handler400 = malformed
handler403 = error_pages.forbidden
handler404 = error_pages.not_found
handler500 = broken
