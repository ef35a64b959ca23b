"""The page on which a plan is drafted."""

from django.contrib import admin
from django.urls import path

from migration_portal.drafting import views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.board), name="drafting"),
    path("draft/", wrap(views.draft), name="drafting_draft"),
    path("check/", wrap(views.checked), name="drafting_check"),
    path("save/", wrap(views.save), name="drafting_save"),
    path("dry-run/", wrap(views.dry_run), name="drafting_dry_run"),
    path("plan.toml", wrap(views.download), name="drafting_download"),
]
