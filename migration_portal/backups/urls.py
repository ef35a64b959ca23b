"""The pages of backups and restorations."""

from django.contrib import admin
from django.urls import path

from migration_portal.backups import views

wrap = admin.site.admin_view
urlpatterns = [
    path("", wrap(views.board), name="backups"),
    path("live/", wrap(views.live), name="backups_live"),
    path("make/", wrap(views.make), name="backups_make"),
    path("adopt/", wrap(views.adopt), name="backups_adopt"),
    path("<int:pk>/", wrap(views.backup), name="backup"),
    path("<int:pk>/verify/", wrap(views.verify), name="backup_verify"),
    path("<int:pk>/restore/", wrap(views.restore), name="backup_restore"),
    path("restorations/<int:pk>/", wrap(views.restoration), name="restoration"),
    path("restorations/<int:pk>/swap/", wrap(views.swap), name="restoration_swap"),
    path("restorations/<int:pk>/drop/", wrap(views.drop), name="restoration_drop"),
    path("restorations/<int:pk>/list/", wrap(views.list_since), name="restoration_list"),
    path("restorations/<int:pk>/decide/", wrap(views.decide), name="restoration_decide"),
]
