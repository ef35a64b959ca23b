"""The support desk's pages."""

from django.contrib import admin
from django.urls import path

from migration_portal.support import views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.search), name="support"),
    path("<uuid:pk>/end-sessions/", wrap(views.end_sessions), name="person_end_sessions"),
    path("<path:pk>/", wrap(views.person), name="person"),  # legacy's ids may hold anything
]
