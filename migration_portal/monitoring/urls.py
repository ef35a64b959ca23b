"""The pages about health."""

from django.contrib import admin
from django.urls import path

from migration_portal.monitoring import views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.board), name="health"),
    path("live/", wrap(views.live), name="health_live"),
    path("statements/", wrap(views.statements), name="slow_statements"),
    path("alerts/<int:pk>/acknowledge/", wrap(views.acknowledge), name="alert_acknowledge"),
    path("alerts/<int:pk>/silence/", wrap(views.silence), name="alert_silence"),
]
