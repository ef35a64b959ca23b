"""The features' pages."""

from django.contrib import admin
from django.urls import path

from migration_portal.features import views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.features), name="features"),
    path("new/", wrap(views.create), name="feature_create"),
    path("subjects/", wrap(views.find_subjects), name="feature_subjects"),
    path("<slug:name>/", wrap(views.feature), name="feature"),
    path("<slug:name>/change/", wrap(views.change), name="feature_change"),
    path("<slug:name>/kill/", wrap(views.kill), name="feature_kill"),
    path("<slug:name>/scheduled/<int:pk>/cancel/", wrap(views.cancel_change), name="feature_cancel"),
    path("<slug:name>/ramp/", wrap(views.start_ramp), name="feature_ramp"),
    path("<slug:name>/ramp/stop/", wrap(views.stop_ramp), name="feature_ramp_stop"),
]
