"""/admin/second-factor/ and /admin/confirm/."""

from django.contrib import admin
from django.urls import path

from migration_portal.operators import views

urlpatterns = [
    path("second-factor/", admin.site.admin_view(views.second_factor), name="second_factor"),
    path("second-factor/codes/", admin.site.admin_view(views.recovery_codes), name="recovery_codes"),
    path("confirm/", admin.site.admin_view(views.confirm), name="confirm"),
]
