"""The pages of rehearsals."""

from django.contrib import admin
from django.urls import path

from migration_portal.rehearsal import views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.board), name="rehearsals"),
    path("rehearse/", wrap(views.rehearse), name="rehearse"),
    path("<int:pk>/", wrap(views.rehearsal), name="rehearsal"),
]
