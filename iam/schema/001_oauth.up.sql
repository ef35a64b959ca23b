-- OAuth 2 / OIDC: clients, codes, tokens, grants, and social log-ins.
-- promises: table oauth_clients
-- promises: table oauth_authorization_codes
-- promises: table oauth_access_tokens
-- promises: table oauth_refresh_tokens
-- promises: table oauth_client_users
-- promises: table social_connections
-- promises: index idx_oauth_clients_client_id
-- promises: index idx_oauth_clients_tenant_id
-- promises: index idx_oauth_auth_codes_client_user
-- promises: index idx_oauth_auth_codes_expires

CREATE TABLE oauth_clients (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    client_id varchar(100) UNIQUE NOT NULL,
    client_secret_hash varchar(255),
    client_name varchar(255) NOT NULL,
    client_type varchar(20) CHECK (client_type IN ('confidential', 'public')),
    redirect_uris jsonb,
    allowed_grant_types jsonb NOT NULL,
    allowed_scopes jsonb,
    logo_uri varchar(500),
    website_uri varchar(500),
    tenant_id uuid REFERENCES tenants (id),
    is_active boolean DEFAULT true,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);
CREATE INDEX idx_oauth_clients_client_id ON oauth_clients (client_id);
CREATE INDEX idx_oauth_clients_tenant_id ON oauth_clients (tenant_id);

CREATE TABLE oauth_authorization_codes (
    code varchar(100) PRIMARY KEY,
    client_id uuid NOT NULL REFERENCES oauth_clients (id),
    user_id uuid NOT NULL REFERENCES users (id),
    redirect_uri varchar(500),
    scope text,
    code_challenge varchar(128),
    code_challenge_method varchar(10),
    nonce varchar(100),
    state varchar(100),
    expires_at timestamptz NOT NULL,
    created_at timestamptz DEFAULT now()
);
CREATE INDEX idx_oauth_auth_codes_client_user ON oauth_authorization_codes (client_id, user_id);
CREATE INDEX idx_oauth_auth_codes_user_id ON oauth_authorization_codes (user_id);
CREATE INDEX idx_oauth_auth_codes_expires ON oauth_authorization_codes (expires_at);

CREATE TABLE oauth_access_tokens (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    token varchar(255) UNIQUE NOT NULL,
    client_id uuid NOT NULL REFERENCES oauth_clients (id),
    user_id uuid REFERENCES users (id),
    scope text,
    expires_at timestamptz NOT NULL,
    created_at timestamptz DEFAULT now()
);
CREATE INDEX idx_oauth_access_tokens_client_id ON oauth_access_tokens (client_id);
CREATE INDEX idx_oauth_access_tokens_user_id ON oauth_access_tokens (user_id);

CREATE TABLE oauth_refresh_tokens (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    token varchar(255) UNIQUE NOT NULL,
    access_token_id uuid REFERENCES oauth_access_tokens (id),
    client_id uuid NOT NULL REFERENCES oauth_clients (id),
    user_id uuid REFERENCES users (id),
    scope text,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    created_at timestamptz DEFAULT now()
);
CREATE INDEX idx_oauth_refresh_tokens_access_token_id ON oauth_refresh_tokens (access_token_id);
CREATE INDEX idx_oauth_refresh_tokens_client_id ON oauth_refresh_tokens (client_id);
CREATE INDEX idx_oauth_refresh_tokens_user_id ON oauth_refresh_tokens (user_id);

CREATE TABLE oauth_client_users (
    user_id uuid NOT NULL REFERENCES users (id),
    client_id uuid NOT NULL REFERENCES oauth_clients (id),
    granted_at timestamptz DEFAULT now(),
    scope text,
    expires_at timestamptz,
    PRIMARY KEY (user_id, client_id)
);
CREATE INDEX idx_oauth_client_users_client_id ON oauth_client_users (client_id);

CREATE TABLE social_connections (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users (id),
    provider varchar(50) NOT NULL,
    provider_user_id varchar(255) NOT NULL,
    provider_username varchar(255),
    provider_email varchar(255),
    provider_name varchar(255),
    provider_avatar_url varchar(500),
    access_token text,
    refresh_token text,
    expires_at timestamptz,
    profile_data jsonb,
    is_primary boolean DEFAULT false,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    UNIQUE (provider, provider_user_id)
);
CREATE INDEX idx_social_connections_user_id ON social_connections (user_id);
