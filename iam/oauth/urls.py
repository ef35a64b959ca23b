"""/oauth/: the authorization server and its pages."""

from csp.constants import NONE, SELF
from csp.decorators import csp
from django.urls import path

from iam.oauth import new_password, second_factor, social, views

strict = csp({
    "default-src": [NONE], "style-src": [SELF], "img-src": [SELF, "data:"], "base-uri": [NONE], "frame-ancestors": [NONE],
})  # fmt: skip
"""Pages of ours: no script at all, no style but the file's. `form-action` is left open: consent sends browsers to clients."""

urlpatterns = [
    path("authorize", strict(views.authorize), name="oauth_authorize"),
    path("token", views.token, name="oauth_token"),
    path("revoke", views.revoke, name="oauth_revoke"),
    path("introspect", views.introspect, name="oauth_introspect"),
    path("userinfo", views.userinfo, name="oauth_userinfo"),
    path("sign-in", strict(views.sign_in_page), name="oauth_sign_in"),
    path("second-factor", strict(second_factor.second_factor), name="oauth_second_factor"),
    path("new-password", strict(new_password.new_password), name="oauth_new_password"),
    path("sign-out", views.sign_out, name="oauth_sign_out"),
    path("welcome", strict(views.welcome), name="welcome"),
    path("withdraw", views.withdraw, name="oauth_withdraw"),
    path("social/confirm", strict(social.confirm), name="social_confirm"),
    path("social/<slug:name>/", social.start, name="social_start"),
    path("social/<slug:name>/callback", social.callback, name="social_callback"),
    path("social/<slug:name>/unlink", social.unlink, name="social_unlink"),
]
