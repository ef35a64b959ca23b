-- The four tables that the legacy system also has, with real uuids.
-- promises: table tenants
-- promises: table users
-- promises: table licenses
-- promises: table tenant_settings
-- promises: constraint users.users_tenant_id_username_key
-- promises: constraint users.users_tenant_id_email_key
-- promises: constraint users.users_tenant_id_fkey
-- promises: constraint licenses.licenses_tenant_id_fkey
-- promises: constraint tenant_settings.tenant_settings_tenant_id_fkey
-- promises: index idx_licenses_tenant_id

CREATE TABLE tenants (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(255),
    slug varchar(100) UNIQUE,
    is_active boolean DEFAULT true,
    created_at timestamptz DEFAULT now(),
    max_licenses integer NOT NULL DEFAULT 0
);

CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL,
    email varchar(255),
    username varchar(100),
    full_name varchar(255),
    hashed_password varchar(255) NOT NULL,
    is_active boolean DEFAULT true,
    is_superuser boolean DEFAULT false,
    is_verified boolean DEFAULT false,
    avatar_url varchar(500),
    bio text,
    phone_number varchar(50),
    mfa_enabled boolean DEFAULT false,
    mfa_secret_encrypted text,
    refresh_token text,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz,
    last_login timestamptz,
    email_verified boolean DEFAULT false,
    phone_verified boolean DEFAULT false,
    require_password_change boolean DEFAULT false,
    password_expires_at timestamptz,
    account_locked_until timestamptz,
    failed_login_attempts integer DEFAULT 0,
    profile_visibility varchar(20) DEFAULT 'organization'
        CHECK (profile_visibility IN ('public', 'private', 'organization')),
    preferred_language varchar(10) DEFAULT 'en',
    timezone varchar(50) DEFAULT 'UTC',
    email_verified_at timestamptz,
    phone_verified_at timestamptz,
    last_password_change timestamptz,
    last_login_at timestamptz,
    -- The unique pairs lead with tenant_id, so they also serve its foreign key.
    CONSTRAINT users_tenant_id_username_key UNIQUE (tenant_id, username),
    CONSTRAINT users_tenant_id_email_key UNIQUE (tenant_id, email),
    CONSTRAINT users_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
CREATE INDEX idx_users_email ON users (email);

CREATE TABLE licenses (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    license_key varchar(255) UNIQUE,
    license_secret varchar(255),
    tenant_id uuid,
    template_id varchar(36),
    linked_subscription varchar(36),
    issued_at timestamptz DEFAULT now(),
    validity_days integer,
    payload json,
    CONSTRAINT licenses_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
CREATE INDEX idx_licenses_tenant_id ON licenses (tenant_id);

CREATE TABLE tenant_settings (
    tenant_id uuid PRIMARY KEY,
    access_token_ttl_minutes integer DEFAULT 15 CHECK (access_token_ttl_minutes BETWEEN 5 AND 1440),
    refresh_token_ttl_days integer DEFAULT 30 CHECK (refresh_token_ttl_days BETWEEN 1 AND 365),
    id_token_ttl_minutes integer DEFAULT 60,
    remember_me_enabled boolean DEFAULT true,
    remember_me_refresh_token_ttl_days integer DEFAULT 90
        CHECK (remember_me_refresh_token_ttl_days BETWEEN 1 AND 365),
    remember_me_access_token_ttl_minutes integer DEFAULT 60,
    token_rotation_enabled boolean DEFAULT true,
    require_mfa_for_extended_sessions boolean DEFAULT false,
    min_password_length integer DEFAULT 12 CHECK (min_password_length BETWEEN 8 AND 128),
    require_uppercase boolean DEFAULT true,
    require_lowercase boolean DEFAULT true,
    require_numbers boolean DEFAULT true,
    require_special_chars boolean DEFAULT true,
    password_expiry_days integer,
    mfa_required boolean DEFAULT false,
    rate_limit_requests integer DEFAULT 100 CHECK (rate_limit_requests BETWEEN 1 AND 10000),
    rate_limit_window_seconds integer DEFAULT 60 CHECK (rate_limit_window_seconds BETWEEN 1 AND 3600),
    CONSTRAINT tenant_settings_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
