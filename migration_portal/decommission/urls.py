"""The decommission page."""

from django.contrib import admin
from django.urls import path

from migration_portal.decommission import views

urlpatterns = [path("", admin.site.admin_view(views.board), name="decommission")]
