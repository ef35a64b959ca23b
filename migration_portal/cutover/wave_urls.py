"""The waves' pages."""

from django.contrib import admin
from django.urls import path

from migration_portal.cutover import wave_views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(wave_views.board), name="waves"),
    path("live/", wrap(wave_views.board_live), name="waves_live"),
    path("plan/", wrap(wave_views.plan), name="wave_plan"),
    path("<int:pk>/", wrap(wave_views.wave), name="wave"),
    path("<int:pk>/live/", wrap(wave_views.wave_live), name="wave_live"),
    *(
        path(f"<int:pk>/{verb}/", wrap(wave_views.act), {"verb": verb}, name=f"wave_{verb}")
        for verb in wave_views.VERBS
    ),
]
