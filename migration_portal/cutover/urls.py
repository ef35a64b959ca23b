"""The cut-over board's pages."""

from django.contrib import admin
from django.urls import path

from migration_portal.cutover import views, wave_views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.board), name="cutover"),
    path("live/", wrap(views.live), name="cutover_live"),
    path("scope/", wrap(views.scope), name="cutover_scope"),
    path("move/", wrap(views.move), name="cutover_move"),
    path("reads/", wrap(views.answer_reads), name="cutover_reads"),
    path("guard/", wrap(views.switch_guard), name="cutover_guard"),
    path("finalize/", wrap(views.finish), name="cutover_finalize"),
    path("stop/", wrap(wave_views.stop_all), name="cutover_stop"),
    path("tenant/<str:pk>/", wrap(views.tenant), name="cutover_tenant"),
]
