"""The deployment plan's pages."""

from django.contrib import admin
from django.urls import path

from migration_portal.deployment import views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.board), name="deployment"),
    path("make/", wrap(views.make), name="deployment_make"),
    path("contacts/", wrap(views.contacts), name="deployment_contacts"),
    path("<int:pk>/", wrap(views.plan), name="deployment_plan"),
    path("<int:pk>/export/", wrap(views.export), name="deployment_export"),
    path("<int:pk>/prove/", wrap(views.prove), name="deployment_prove"),
    *(
        path(f"task/<int:pk>/{verb}/", wrap(views.task), {"verb": verb}, name=f"task_{verb}")
        for verb in ("done", "sign", "assign")
    ),
    *(
        path(f"phase/<int:pk>/{verb}/", wrap(views.gate), {"verb": verb}, name=f"gate_{verb}")
        for verb in ("pass", "override", "reopen")
    ),
]
