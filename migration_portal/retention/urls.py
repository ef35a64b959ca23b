"""The page of the audit log's retention, and its holds."""

from django.contrib import admin
from django.urls import path

from migration_portal.retention import views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.board), name="retention"),
    path("hold/", wrap(views.place), name="hold_place"),
    path("hold/<int:pk>/release/", wrap(views.release), name="hold_release"),
]
