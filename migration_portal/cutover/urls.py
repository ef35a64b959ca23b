"""The cut-over board's pages."""

from django.contrib import admin
from django.urls import path

from migration_portal.cutover import views, wave_views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.board), name="cutover"),
    path("live/", wrap(views.live), name="cutover_live"),
    path("move/", wrap(views.move), name="cutover_move"),
    path("guard/", wrap(views.switch_guard), name="cutover_guard"),
    path("finalize/", wrap(views.finish), name="cutover_finalize"),
    path("stop/", wrap(wave_views.stop_all), name="cutover_stop"),
    path("waves/", wrap(wave_views.board), name="waves"),
    path("waves/live/", wrap(wave_views.board_live), name="waves_live"),
    path("waves/plan/", wrap(wave_views.plan), name="wave_plan"),
    path("waves/<int:pk>/", wrap(wave_views.wave), name="wave"),
    path("waves/<int:pk>/live/", wrap(wave_views.wave_live), name="wave_live"),
    *(
        path(f"waves/<int:pk>/{verb}/", wrap(wave_views.act), {"verb": verb}, name=f"wave_{verb}")
        for verb in wave_views.VERBS
    ),
    path("tenant/<str:pk>/", wrap(views.tenant), name="cutover_tenant"),
]
