-- The capability model: what the system offers, what a tenant may use, what it switched on, who is enrolled.
-- promises: table system_capabilities
-- promises: table tenant_capabilities
-- promises: table tenant_feature_enablement
-- promises: table user_capability_state
-- promises: row system_capabilities capability_key=mfa

CREATE TABLE system_capabilities (
    capability_key varchar(100) PRIMARY KEY,
    enabled boolean NOT NULL DEFAULT false,
    default_value jsonb NOT NULL DEFAULT '{}',
    description text,
    updated_by uuid REFERENCES users (id),
    updated_at timestamptz DEFAULT now()
);
CREATE INDEX idx_system_capabilities_updated_by ON system_capabilities (updated_by);

CREATE TABLE tenant_capabilities (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    capability_key varchar(100) NOT NULL REFERENCES system_capabilities (capability_key),
    enabled boolean NOT NULL DEFAULT false,
    value jsonb,
    configured_by uuid REFERENCES users (id),
    configured_at timestamptz DEFAULT now(),
    PRIMARY KEY (tenant_id, capability_key)
);
CREATE INDEX idx_tenant_capabilities_capability_key ON tenant_capabilities (capability_key);
CREATE INDEX idx_tenant_capabilities_configured_by ON tenant_capabilities (configured_by);

CREATE TABLE tenant_feature_enablement (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    feature_key varchar(100) NOT NULL,
    enabled boolean NOT NULL DEFAULT false,
    configuration jsonb,
    enabled_by uuid REFERENCES users (id),
    enabled_at timestamptz DEFAULT now(),
    PRIMARY KEY (tenant_id, feature_key)
);
CREATE INDEX idx_tenant_feature_enablement_enabled_by ON tenant_feature_enablement (enabled_by);

CREATE TABLE user_capability_state (
    user_id uuid NOT NULL REFERENCES users (id),
    capability_key varchar(100) NOT NULL REFERENCES system_capabilities (capability_key),
    enrolled boolean NOT NULL DEFAULT false,
    state_data jsonb,
    enrolled_at timestamptz,
    last_used_at timestamptz,
    PRIMARY KEY (user_id, capability_key)
);
CREATE INDEX idx_user_capability_state_capability_key ON user_capability_state (capability_key);

INSERT INTO system_capabilities (capability_key, enabled, default_value, description) VALUES
    ('mfa', true, '{}', 'Multi-factor authentication'),
    ('totp', true, '{}', 'Time-based one-time passwords'),
    ('oidc', true, '{}', 'OpenID Connect'),
    ('oauth2', true, '{}', 'OAuth 2'),
    ('saml', false, '{}', 'SAML single sign-on'),
    ('passwordless', false, '{}', 'Log-in without a password'),
    ('ldap', false, '{}', 'LDAP directories'),
    ('max_token_ttl', true, '{"value": "15m"}', 'Longest life of an access token'),
    ('allowed_grant_types', true,
     '{"value": ["authorization_code", "refresh_token", "client_credentials"]}', 'OAuth grant types'),
    ('allowed_scope_namespaces', true, '{"value": ["openid", "profile", "users", "clients"]}', 'Scope name spaces'),
    ('pkce_mandatory', true, '{"value": true}', 'Authorization code only with PKCE');
