"""OAuth 2 and OpenID Connect on Authlib: the IAM as an authorization server, and as a client of social providers."""
