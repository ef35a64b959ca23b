"""Every path of the legacy system."""

from django.urls import path

from legacy_compat.routing import legacy

urlpatterns = [path("<path:path>", legacy, name="legacy")]
