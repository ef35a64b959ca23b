"""The pages about rolling back."""

from django.contrib import admin
from django.urls import path

from migration_portal.rollback import matrix_views, views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.board), name="rollback"),
    path("start/", wrap(views.start), name="rollback_start"),
    path("doors/", wrap(views.doors), name="rollback_doors"),
    path("<int:pk>/", wrap(views.roll_back), name="roll_back"),
    path("<int:pk>/stop/", wrap(views.stop), name="roll_back_stop"),
    path("<int:pk>/note/", wrap(views.note), name="roll_back_note"),
    path("steps/<int:pk>/<slug:verb>/", wrap(views.decide), name="roll_back_step"),
    path("matrix/", wrap(matrix_views.matrix), name="matrix"),
    path("matrix/hold/", wrap(matrix_views.hold), name="matrix_hold"),
    path("matrix/rules/", wrap(matrix_views.change), name="rollback_rules"),
    path("matrix/complaints/", wrap(matrix_views.complain), name="rollback_complain"),
]
