"""The pages of checkpoints."""

from django.contrib import admin
from django.urls import path

from migration_portal.checkpoints import views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.board), name="checkpoints"),
    path("criteria/", wrap(views.success), name="criteria"),
    path("take/", wrap(views.take), name="checkpoint_take"),
    path("<int:pk>/", wrap(views.checkpoint), name="checkpoint"),
]
