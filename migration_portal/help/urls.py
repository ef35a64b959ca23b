"""The help's pages."""

from django.contrib import admin
from django.urls import path

from migration_portal.help import views

wrap = admin.site.admin_view
urlpatterns = [path("", wrap(views.show), name="help"), path("<slug:name>/", wrap(views.show), name="help_page")]
