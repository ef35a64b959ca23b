"""The capabilities' pages."""

from django.contrib import admin
from django.urls import path

from migration_portal.capabilities import views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.board), name="capabilities"),
    path("derive/", wrap(views.derive), name="capabilities_derive"),
    path("of/<slug:key>/", wrap(views.capability), name="capability"),
    path("of/<slug:key>/tenants/", wrap(views.edit_tenants), name="capability_tenants"),
    path("tenant/<uuid:pk>/", wrap(views.tenant), name="capabilities_tenant"),
    path("user/<uuid:pk>/", wrap(views.user), name="capabilities_user"),
    path("user/<uuid:pk>/end/", wrap(views.end_enrolment), name="capabilities_end"),
]
