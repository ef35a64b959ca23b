"""The pages about legacy traffic."""

from django.contrib import admin
from django.urls import path

from migration_portal.traffic import views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.board), name="traffic"),
    path("live/", wrap(views.live), name="traffic_live"),
    path("mismatches/<int:pk>/ignore/", wrap(views.ignore_mismatch), name="mismatch_ignore"),
]
