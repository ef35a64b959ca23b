"""The pages about rolling back."""

from django.contrib import admin
from django.urls import path

from migration_portal.rollback import views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.board), name="rollback"),
    path("rules/", wrap(views.change), name="rollback_rules"),
    path("complaints/", wrap(views.complain), name="rollback_complain"),
]
