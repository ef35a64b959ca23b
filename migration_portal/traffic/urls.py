"""The pages about legacy traffic."""

from django.contrib import admin
from django.urls import path

from migration_portal.traffic import views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.board), name="traffic"),
    path("live/", wrap(views.live), name="traffic_live"),
    path("surface/", wrap(views.surface), name="traffic_surface"),
    path("surface/give-up/", wrap(views.give_endpoints_up), name="traffic_give_up"),
    path("surface/take-back/", wrap(views.take_endpoint_back), name="traffic_take_back"),
    path("mismatches/<int:pk>/ignore/", wrap(views.ignore_mismatch), name="mismatch_ignore"),
]
