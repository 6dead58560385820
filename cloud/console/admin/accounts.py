"""People: an operator of the installation makes and changes them; others see who is in their organization."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from cloud.accounts.models import User
from cloud.console import lists, viewer
from cloud.console.tenant_admin import RowOrNothing
from cloud.tenancy.models import Membership
from local_daemon.protocol.scopes import Scope

# Roles are memberships; Django's groups would be a second, unaudited way to say the same.
admin.site.unregister(Group)


@admin.register(User)
class PersonAdmin(RowOrNothing, UserAdmin, ModelAdmin):
    """People who sign in."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    ordering = ("email",)
    paginator = lists.BoundedPaginator
    show_full_result_count = False
    list_display = ("email", "full_name", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "full_name")
    filter_horizontal = ()
    readonly_fields = ("last_login", "created_at")
    fieldsets = (
        (None, {"fields": ("email", "password", "full_name")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "password1", "password2", "is_staff")}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Everybody for an operator, else those whose membership one sees."""
        people = super().get_queryset(request)
        if request.user.is_superuser:
            return people
        seen = self.admin_site._registry[Membership].get_queryset(request)
        return people.filter(pk__in=seen.order_by().values("user_id"))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Not even the form of a password's digest for those who only look."""
        if request.user.is_superuser:
            return super().get_fieldsets(request, obj)
        return ((None, {"fields": ("email", "full_name", "is_active", "last_login")}),)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Listed for whoever may see it."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the viewer may see members."""
        principal = viewer.principal_of(request)
        return request.user.is_superuser or (principal is not None and Scope.MEMBERS_READ in principal.scopes)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Operators only."""
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Operators only."""
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """People stay, for what they did is on record: deactivate them."""
        return False
