"""The pages of approvals."""

from django.contrib import admin
from django.urls import path

from migration_portal.approvals import views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.approvals), name="approvals"),
    path("impact/<slug:name>/", wrap(views.impact), name="approval_impact"),
    path("<int:pk>/", wrap(views.approval), name="approval"),
    path("<int:pk>/<slug:verb>/", wrap(views.answer), name="approval_answer"),
]
