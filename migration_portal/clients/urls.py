"""The OAuth clients' pages."""

from django.contrib import admin
from django.urls import path

from migration_portal.clients import views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.clients), name="clients"),
    path("register/", wrap(views.register), name="client_register"),
    path("<uuid:pk>/", wrap(views.client), name="client"),
    path("<uuid:pk>/renew/", wrap(views.renew), name="client_renew"),
    path("<uuid:pk>/switch/", wrap(views.switch), name="client_switch"),
]
