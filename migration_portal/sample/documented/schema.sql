-- Sigma Permit 2.0. Foreign keys are NOT VALID: real legacy data holds users of tenants that are gone.
CREATE TABLE tenants (
    id varchar(36) PRIMARY KEY,
    name varchar(255),
    slug varchar(100) UNIQUE,
    is_active boolean,
    created_at timestamptz,
    max_licenses integer NOT NULL
);
CREATE TABLE users (
    id varchar(36) PRIMARY KEY,
    tenant_id varchar(36) NOT NULL,
    email varchar(255),
    username varchar(100),
    full_name varchar(255),
    hashed_password varchar(255) NOT NULL,
    is_active boolean,
    is_superuser boolean,
    is_verified boolean,
    avatar_url varchar(500),
    bio text,
    phone_number varchar(50),
    mfa_enabled boolean,
    mfa_secret_encrypted text,
    refresh_token text,
    created_at timestamptz,
    updated_at timestamptz,
    last_login timestamptz
);
CREATE TABLE licenses (
    id varchar(36) PRIMARY KEY,
    license_key varchar(255) UNIQUE,
    license_secret varchar(255),
    tenant_id varchar(36),
    template_id varchar(36),
    linked_subscription varchar(36),
    issued_at timestamptz,
    validity_days integer,
    payload json
);
CREATE TABLE tenant_settings (
    tenant_id varchar(36) PRIMARY KEY,
    access_token_ttl_minutes integer DEFAULT 15 CHECK (access_token_ttl_minutes BETWEEN 5 AND 1440),
    refresh_token_ttl_days integer DEFAULT 30 CHECK (refresh_token_ttl_days BETWEEN 1 AND 365),
    id_token_ttl_minutes integer DEFAULT 60,
    remember_me_enabled boolean DEFAULT true,
    remember_me_refresh_token_ttl_days integer DEFAULT 90 CHECK (remember_me_refresh_token_ttl_days BETWEEN 1 AND 365),
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
    rate_limit_window_seconds integer DEFAULT 60 CHECK (rate_limit_window_seconds BETWEEN 1 AND 3600)
);
