"""The console is the whole site for now: Django's admin, and a health probe for load balancers."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from config.health import live, ready

urlpatterns = [
    path("admin/", admin.site.urls),
    path("health/live", live),
    path("health/ready", ready),
    path("", RedirectView.as_view(pattern_name="admin:index")),
]
