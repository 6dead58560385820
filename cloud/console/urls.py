"""The console's pages beside the admin's own: choosing an organization, following links."""

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.views.generic import RedirectView

from cloud.console import forgetting, joining, live, switching


def _not_a_page(request: HttpRequest) -> HttpResponse:
    """The websocket's path, so that pages can name it; what is asked there over HTTP is not there."""
    raise Http404


urlpatterns = [
    # What people type who know the installation's address only.
    path("", RedirectView.as_view(pattern_name="admin:index", query_string=False)),
    path(live.PATH.removeprefix("/"), _not_a_page, name="console-live"),
    path("admin/organization/", switching.switch, name="switch-organization"),
    path("join/<str:secret>", joining.join, name="join"),
    path("password/<str:secret>", forgetting.choose_password, name="choose-password"),
]
