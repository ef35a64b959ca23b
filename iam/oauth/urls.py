"""/oauth/: the authorization server and its pages."""

from django.urls import path

from iam.oauth import screens, social

urlpatterns = [
    path("authorize", screens.authorize, name="oauth_authorize"),
    path("token", screens.token, name="oauth_token"),
    path("revoke", screens.revoke, name="oauth_revoke"),
    path("introspect", screens.introspect, name="oauth_introspect"),
    path("userinfo", screens.userinfo, name="oauth_userinfo"),
    path("sign-in", screens.sign_in_page, name="oauth_sign_in"),
    path("sign-out", screens.sign_out, name="oauth_sign_out"),
    path("welcome", screens.welcome, name="welcome"),
    path("withdraw", screens.withdraw, name="oauth_withdraw"),
    path("social/<slug:name>/", social.start, name="social_start"),
    path("social/<slug:name>/callback", social.callback, name="social_callback"),
    path("social/<slug:name>/unlink", social.unlink, name="social_unlink"),
]
