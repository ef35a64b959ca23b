-- The released Sigma Permit 2.0, as its service creates it. Foreign keys and indexes are added after the rows.
CREATE TYPE profile_visibility_enum AS ENUM ('public', 'private', 'organization');
CREATE TYPE client_type_enum AS ENUM ('confidential', 'public');
CREATE TYPE identity_provider_type_enum AS ENUM ('saml', 'oidc', 'ldap', 'active_directory');
CREATE TYPE billing_interval_enum AS ENUM ('monthly', 'yearly');
CREATE TYPE feature_type_enum AS ENUM ('boolean', 'integer', 'string', 'json');
CREATE TYPE subscription_status_enum AS ENUM ('active', 'trialing', 'past_due', 'canceled');

CREATE TABLE tenants (
    id varchar(36) PRIMARY KEY, name varchar NOT NULL, slug varchar NOT NULL UNIQUE, is_active boolean,
    created_at timestamptz DEFAULT now(), max_licenses integer NOT NULL
);
CREATE TABLE users (
    id varchar(36) PRIMARY KEY, tenant_id varchar(36) NOT NULL, email varchar NOT NULL, username varchar NOT NULL,
    full_name varchar, hashed_password varchar NOT NULL, is_active boolean, is_superuser boolean, is_verified boolean,
    oauth_provider varchar, oauth_id varchar, oauth_access_token text, oauth_refresh_token text, refresh_token text,
    sso_provider varchar, sso_id varchar, sso_metadata json, email_verified boolean, phone_verified boolean,
    require_password_change boolean, password_expires_at timestamptz, account_locked_until timestamptz,
    failed_login_attempts integer, profile_visibility profile_visibility_enum, preferred_language varchar(10),
    timezone varchar(50), email_verified_at timestamptz, phone_verified_at timestamptz, last_password_change timestamptz,
    last_login_at timestamptz, avatar_url varchar, bio text, phone_number varchar, created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(), last_login timestamptz
);
CREATE TABLE products (
    id varchar(36) PRIMARY KEY, name varchar NOT NULL, description text, version integer NOT NULL
);
CREATE TABLE plan_definitions (
    id varchar(36) PRIMARY KEY, product_id varchar(36) NOT NULL, name varchar NOT NULL, price numeric(10, 2) NOT NULL,
    billing_interval billing_interval_enum NOT NULL, is_active boolean, plan_metadata json
);
CREATE TABLE feature_definitions (
    id varchar(36) PRIMARY KEY, product_id varchar(36) NOT NULL, key varchar NOT NULL, type feature_type_enum NOT NULL,
    default_value json, validation_rules json
);
CREATE TABLE plan_features (
    plan_id varchar(36), feature_id varchar(36), value json, overrides json, PRIMARY KEY (plan_id, feature_id)
);
CREATE TABLE subscriptions (
    id varchar(36) PRIMARY KEY, tenant_id varchar(36) NOT NULL, plan_id varchar(36) NOT NULL,
    status subscription_status_enum NOT NULL, start_date timestamptz NOT NULL, issue_date timestamptz DEFAULT now(),
    end_date timestamptz, auto_renew boolean, payment_provider_id varchar
);
CREATE TABLE subscription_entitlements (
    subscription_id varchar(36), feature_id varchar(36), effective_value json NOT NULL, overridden boolean,
    PRIMARY KEY (subscription_id, feature_id)
);
CREATE TABLE templates (
    id varchar(36) PRIMARY KEY, name varchar NOT NULL, description text, payload_schema json, validation_rules json,
    is_active boolean, created_at timestamptz DEFAULT now()
);
CREATE TABLE master_keys (
    id varchar(36) PRIMARY KEY, public_key text NOT NULL, private_key text NOT NULL, is_active boolean,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now()
);
CREATE TABLE licenses (
    id varchar(36) PRIMARY KEY, license_key varchar NOT NULL UNIQUE, license_secret text NOT NULL,
    tenant_id varchar(36) NOT NULL, template_id varchar(36), linked_subscription varchar(36), issued_at timestamptz,
    validity_days integer, payload json NOT NULL
);
CREATE TABLE roles (
    id varchar(36) PRIMARY KEY, name varchar(100) NOT NULL, description text, is_system boolean, tenant_id varchar(36),
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(), UNIQUE (name, tenant_id)
);
CREATE TABLE permissions (
    id varchar(36) PRIMARY KEY, name varchar(100) NOT NULL, resource varchar(100) NOT NULL, action varchar(50) NOT NULL,
    description text, is_system boolean, created_at timestamptz DEFAULT now(), UNIQUE (resource, action)
);
CREATE TABLE role_permissions (
    role_id varchar(36), permission_id varchar(36), granted_at timestamptz DEFAULT now(), granted_by varchar(36),
    PRIMARY KEY (role_id, permission_id)
);
CREATE TABLE user_roles (
    user_id varchar(36), role_id varchar(36), assigned_by varchar(36), expires_at timestamptz,
    created_at timestamptz DEFAULT now(), PRIMARY KEY (user_id, role_id)
);
CREATE TABLE social_connections (
    id varchar(36) PRIMARY KEY, user_id varchar(36) NOT NULL, provider varchar(50) NOT NULL,
    provider_user_id varchar(255) NOT NULL, provider_username varchar(255), provider_email varchar(255),
    provider_name varchar(255), provider_avatar_url varchar(500), access_token text, refresh_token text,
    expires_at timestamptz, profile_data json, is_primary boolean, created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);
CREATE TABLE user_sessions (
    id varchar(36) PRIMARY KEY, user_id varchar(36) NOT NULL, session_id varchar(100) NOT NULL UNIQUE, device_info json,
    ip_address varchar(45), user_agent text, location json, is_active boolean, created_at timestamptz DEFAULT now(),
    last_activity timestamptz DEFAULT now(), expires_at timestamptz NOT NULL
);
CREATE TABLE oauth_clients (
    id varchar(36) PRIMARY KEY, client_id varchar(100) NOT NULL UNIQUE, client_secret_hash varchar(255),
    client_name varchar(255) NOT NULL, client_type client_type_enum NOT NULL, redirect_uris json,
    allowed_grant_types json NOT NULL, allowed_scopes json, logo_uri varchar(500), website_uri varchar(500),
    tenant_id varchar(36), is_active boolean, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now()
);
CREATE TABLE oauth_authorization_codes (
    code varchar(100) PRIMARY KEY, client_id varchar(36) NOT NULL, user_id varchar(36) NOT NULL, redirect_uri varchar(500),
    scope text, code_challenge varchar(128), code_challenge_method varchar(10), nonce varchar(100), state varchar(100),
    expires_at timestamptz NOT NULL, created_at timestamptz DEFAULT now()
);
CREATE TABLE oauth_access_tokens (
    id varchar(36) PRIMARY KEY, token varchar(100) NOT NULL UNIQUE, client_id varchar(36) NOT NULL,
    user_id varchar(36) NOT NULL, scope text, expires_at timestamptz NOT NULL, created_at timestamptz DEFAULT now()
);
CREATE TABLE oauth_refresh_tokens (
    id varchar(36) PRIMARY KEY, token varchar(100) NOT NULL UNIQUE, client_id varchar(36) NOT NULL,
    user_id varchar(36) NOT NULL, access_token_id varchar(36), scope text, expires_at timestamptz NOT NULL,
    created_at timestamptz DEFAULT now(), revoked_at timestamptz
);
CREATE TABLE oauth_client_users (
    user_id varchar(36), client_id varchar(36), granted_at timestamptz DEFAULT now(), scope text, expires_at timestamptz,
    PRIMARY KEY (user_id, client_id)
);
CREATE TABLE audit_log (
    id varchar(36) PRIMARY KEY, user_id varchar(36), session_id varchar(36), tenant_id varchar(36),
    event_type varchar(100) NOT NULL, event_category varchar(50) NOT NULL, resource varchar(100), resource_id varchar(255),
    action varchar(50), success boolean NOT NULL, error_message text, ip_address varchar(45), user_agent text,
    request_id varchar(100), event_metadata json, created_at timestamptz DEFAULT now()
);
CREATE TABLE user_extensions (
    user_id varchar(36) PRIMARY KEY, email_verified boolean, phone_verified boolean, require_password_change boolean,
    password_expires_at timestamptz, account_locked_until timestamptz, failed_login_attempts integer,
    profile_visibility profile_visibility_enum, preferred_language varchar(10), timezone varchar(50),
    email_verified_at timestamptz, phone_verified_at timestamptz, last_password_change timestamptz, last_login_at timestamptz
);
CREATE TABLE identity_providers (
    id varchar(36) PRIMARY KEY, name varchar, type identity_provider_type_enum, configuration json, tenant_id varchar(36)
);
CREATE TABLE external_identities (
    id varchar(36) PRIMARY KEY, user_id varchar(36), identity_provider_id varchar(36), external_id varchar,
    external_username varchar, external_email varchar
);
