"""What Django answers: the admin, and the doors by which a machine comes in. Everything hot stands before it
(`asgi.py`)."""

from django.contrib import admin
from django.urls import path

from cloud.console import switching
from cloud.rest import enrollment, health

urlpatterns = [
    path("healthz", health.healthz),
    path("api/v2/connectors/enroll", enrollment.enroll),
    path("api/v2/connectors/register", enrollment.register),
    path("api/v2/connectors/registration", enrollment.registration),
    path("admin/organization/", switching.switch, name="switch-organization"),
    path("admin/", admin.site.urls),
]
