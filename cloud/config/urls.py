"""What Django answers: the admin, /api/cloud/v1, and the doors by which a machine comes in. Everything hot stands
before it (`asgi.py`)."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt

from cloud.rest import enrollment, health, problems, routes

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
