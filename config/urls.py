"""The console is the whole site for now: Django's admin, and a health probe for load balancers."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from config.health import live, ready
from migration_portal import dashboard
from migration_portal.cutover import board
from migration_portal.features import screens as features
from migration_portal.inventory import screens

urlpatterns = [
    path("admin/dashboard/live/", admin.site.admin_view(dashboard.live), name="dashboard_live"),
    path("admin/preflight/", admin.site.admin_view(screens.preflight), name="preflight"),
    path("admin/plan/", admin.site.admin_view(screens.plan), name="plan"),
    path("admin/features/", include(features.urls(admin.site.admin_view))),
    path("admin/cutover/", include(board.urls(admin.site.admin_view))),
    path("admin/", admin.site.urls),
    path("api/", include("legacy_compat.urls")),
    path("health/live", live),
    path("health/ready", ready),
    path("", RedirectView.as_view(pattern_name="admin:index")),
]
