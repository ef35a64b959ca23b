"""The console, the new API and its OAuth endpoints, the legacy endpoints, and health probes for load balancers."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from config.health import live, ready
from iam.api.problems import no_such_page
from iam.api.root import api
from iam.oauth.discovery import jwks, metadata
from legacy_compat.shared import shared
from migration_portal import dashboard
from migration_portal.inventory import views
from migration_portal.monitoring.exposition import metrics
from migration_portal.notices import links
from migration_portal.rollback.complaints import webhook as complaints

handler403, handler404, handler500 = "config.faults.forbidden", "config.faults.missing", "config.faults.broken"
urlpatterns = [
    path("admin/dashboard/live/", admin.site.admin_view(dashboard.live), name="dashboard_live"),
    path("admin/preflight/", admin.site.admin_view(views.preflight), name="preflight"),
    path("admin/plan/", admin.site.admin_view(views.plan), name="plan"),
    path("admin/", include("migration_portal.operators.urls")),
    path("admin/help/", include("migration_portal.help.urls")),
    path("admin/draft/", include("migration_portal.drafting.urls")),
    path("admin/backups/", include("migration_portal.backups.urls")),
    path("admin/health/", include("migration_portal.monitoring.urls")),
    path("admin/checkpoints/", include("migration_portal.checkpoints.urls")),
    path("admin/approvals/", include("migration_portal.approvals.urls")),
    path("admin/retention/", include("migration_portal.retention.urls")),
    path("admin/rehearsal/", include("migration_portal.rehearsal.urls")),
    path("admin/rollback/", include("migration_portal.rollback.urls")),
    path("admin/features/", include("migration_portal.features.urls")),
    path("admin/capabilities/", include("migration_portal.capabilities.urls")),
    path("admin/support/", include("migration_portal.support.urls")),
    path("admin/decommission/", include("migration_portal.decommission.urls")),
    path("admin/notices/", include("migration_portal.notices.urls")),
    path("admin/deployment/", include("migration_portal.deployment.urls")),
    path("admin/clients/", include("migration_portal.clients.urls")),
    path("admin/waves/", include("migration_portal.cutover.wave_urls")),
    path("admin/cutover/", include("migration_portal.cutover.urls")),
    path("admin/traffic/", include("migration_portal.traffic.urls")),
    # Where version 0.1 had it: a bookmark, or a page left open.
    path("admin/legacy_compat/legacyrequest/board/", RedirectView.as_view(pattern_name="traffic")),
    path("admin/legacy_compat/legacyrequest/board/live/", RedirectView.as_view(pattern_name="traffic_live")),
    path("admin/", admin.site.urls),
    re_path(r"^api/v1/(?P<path>(?:roles|sessions|applications)(?:/.*)?)$", shared),
    path("api/v1/", api.urls),
    path("api/v1/<path:rest>", no_such_page),
    path("oauth/", include("iam.oauth.urls")),
    path(".well-known/jwks.json", jwks),
    path(".well-known/openid-configuration", metadata),
    path(".well-known/oauth-authorization-server", metadata),
    path("api/", include("legacy_compat.urls")),
    path("hooks/complaints", complaints),
    path("hooks/bounces", links.bounces),
    path("notices/unsubscribe/<uuid:token>/", links.unsubscribe, name="unsubscribe"),
    path("metrics", metrics),
    path("health/live", live),
    path("health/ready", ready),
    path("", RedirectView.as_view(pattern_name="admin:index")),
]
