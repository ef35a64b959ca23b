"""/oauth/: the authorization server and its pages."""

from django.urls import path

from iam.oauth import social, views

urlpatterns = [
    path("authorize", views.authorize, name="oauth_authorize"),
    path("token", views.token, name="oauth_token"),
    path("revoke", views.revoke, name="oauth_revoke"),
    path("introspect", views.introspect, name="oauth_introspect"),
    path("userinfo", views.userinfo, name="oauth_userinfo"),
    path("sign-in", views.sign_in_page, name="oauth_sign_in"),
    path("second-factor", views.second_factor, name="oauth_second_factor"),
    path("sign-out", views.sign_out, name="oauth_sign_out"),
    path("welcome", views.welcome, name="welcome"),
    path("withdraw", views.withdraw, name="oauth_withdraw"),
    path("social/<slug:name>/", social.start, name="social_start"),
    path("social/<slug:name>/callback", social.callback, name="social_callback"),
    path("social/<slug:name>/unlink", social.unlink, name="social_unlink"),
]
