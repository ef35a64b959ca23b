"""The notices' pages."""

from django.contrib import admin
from django.urls import path

from migration_portal.notices import views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.board), name="notices"),
    path("plan/", wrap(views.plan), name="notice_plan"),
    path("mail/", wrap(views.files), name="notice_files"),
    path("text/", wrap(views.text), name="notice_text_new"),
    path("text/<slug:template>/<slug:language>/", wrap(views.text), name="notice_text"),
    path("<int:pk>/", wrap(views.notice), name="notice"),
    path("<int:pk>/live/", wrap(views.notice_live), name="notice_live"),
    *(path(f"<int:pk>/{verb}/", wrap(views.act), {"to": to}, name=f"notice_{verb}")
      for verb, to in (("pause", "paused"), ("resume", "sending"), ("stop", "stopped"))),
]  # fmt: skip
