-- name: helpers
-- Deterministic by seed: the same seed gives the same rows on any server.
CREATE FUNCTION pg_temp.uuid_of(kind text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT md5({seed} || kind || n)::uuid::text $$;

CREATE FUNCTION pg_temp.tenant_of(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT pg_temp.uuid_of('tenant', {bad_tenants} + 1 + n % ({tenants} - {bad_tenants})) $$;

CREATE FUNCTION pg_temp.bytes_of(kind text, n bigint, blocks integer) RETURNS bytea LANGUAGE sql IMMUTABLE AS
$$ SELECT string_agg(sha256(({seed} || kind || n || '.' || b)::bytea), ''::bytea ORDER BY b) FROM generate_series(1, blocks) AS b $$;

CREATE FUNCTION pg_temp.base64(value bytea) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT replace(encode(value, 'base64'), E'\n', '') $$;

-- A licence's key has the form of an RSA-2048 public key (392 characters, MIIBIjAN…IDAQAB), its secret that of a private one.
CREATE FUNCTION pg_temp.key_of(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT pg_temp.base64('\x30820122300d06092a864886f70d01010105000382010f003082010a0282010100'::bytea
                         || pg_temp.bytes_of('key', n, 8) || '\x0203010001'::bytea) $$;

CREATE FUNCTION pg_temp.secret_of(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT pg_temp.base64('\x308204be020100300d06092a864886f70d0101010500048204a8'::bytea || pg_temp.bytes_of('secret', n, 37)) $$;

-- name: tenants
INSERT INTO tenants (id, name, slug, is_active, created_at, max_licenses)
SELECT CASE WHEN n <= {bad_tenants} THEN 'legacy-tenant-' || n ELSE pg_temp.uuid_of('tenant', n) END,
       CASE n % 4 WHEN 0 THEN 'Företag ' WHEN 1 THEN '会社 ' WHEN 2 THEN 'Ac&#x27;me &amp; ' ELSE 'Company ' END || n,
       'tenant-' || n,
       CASE WHEN n = {bad_tenants} + 1 THEN NULL ELSE n % 50 <> 0 END,
       timestamptz '2019-01-01' + n * interval '1 hour', 1000 + {users}
FROM generate_series(1, {tenants}) AS n;

-- name: products
INSERT INTO products (id, name, description, version) VALUES (pg_temp.uuid_of('product', 1), 'Sigma', 'The product', 2);
INSERT INTO plan_definitions (id, product_id, name, price, billing_interval, is_active)
SELECT pg_temp.uuid_of('plan', n), pg_temp.uuid_of('product', 1), 'Plan ' || n, 9.90 * n,
       (ARRAY['monthly', 'yearly'])[1 + n % 2]::billing_interval_enum, true
FROM generate_series(0, 3) AS n;
INSERT INTO templates (id, name, is_active) SELECT pg_temp.uuid_of('template', n), 'Template ' || n, true FROM generate_series(0, 19) AS n;

-- name: subscriptions
-- As many as a tenth of the users; of every ten, six are active with an end ahead, one is over, three are not active.
INSERT INTO subscriptions (id, tenant_id, plan_id, status, start_date, issue_date, end_date, auto_renew)
SELECT pg_temp.uuid_of('subscription', n), pg_temp.tenant_of(n), pg_temp.uuid_of('plan', n % 4),
       (ARRAY['active', 'active', 'active', 'active', 'active', 'active', 'active', 'trialing', 'past_due', 'canceled'])[1 + n % 10]
           ::subscription_status_enum,
       timestamptz '2026-01-01', timestamptz '2026-01-01' + n * interval '1 second',
       CASE n % 10 WHEN 0 THEN NULL WHEN 1 THEN timestamptz '2026-03-01' ELSE timestamptz '2036-01-01' END, true
FROM generate_series(0::bigint, {subscriptions} - 1) AS n;

-- name: users
-- The first rows are dirty, {each} of a kind: k is the kind, 0 the first; the rest are clean.
INSERT INTO users (id, tenant_id, email, username, full_name, hashed_password, is_active, is_superuser, is_verified,
                   oauth_provider, oauth_id, refresh_token, sso_provider, sso_id, sso_metadata, email_verified, phone_verified,
                   require_password_change, failed_login_attempts, profile_visibility, preferred_language, timezone,
                   avatar_url, bio, phone_number, created_at, updated_at, last_login)
SELECT CASE WHEN k = 0 THEN 'user-' || n
            WHEN k = 1 THEN upper(pg_temp.uuid_of('user', n + {each}))
            ELSE pg_temp.uuid_of('user', n) END,
       CASE WHEN k = 7 THEN 'legacy-tenant-' || (n - 7 * {each})
            WHEN k IN (3, 4) THEN pg_temp.tenant_of(n % {each})
            ELSE pg_temp.tenant_of(n) END,
       CASE WHEN k = 3 THEN 'Twin' || (n - 3 * {each}) || '@example.org'
            WHEN k = 4 THEN 'twin' || (n - 4 * {each}) || '@example.org'
            ELSE 'user' || n || '@example.' || CASE n % 3 WHEN 0 THEN 'org' WHEN 1 THEN 'com' ELSE 'net' END END,
       'user' || n,
       CASE WHEN k = 6 THEN 'Pat O&amp;#x27;Brien ' || n
            ELSE (ARRAY['Åsa Öberg', '李小龍', 'أحمد علي', 'Zoë D&#x27;Arcy', 'Иван Петров', 'Ann Lee', 'नेहा', 'e' || U&'\0301' || 'mile ' || U&'\200B'])[1 + n % 8]
                 || ' ' || n END,
       CASE WHEN n % 25 = 3 THEN left(translate(pg_temp.base64(pg_temp.bytes_of('random', n, 3)), '+/', '-_'), 86)
            ELSE ({hashes}::text[])[1 + n % 4] END,
       CASE WHEN k = 5 THEN NULL ELSE n % 20 <> 0 OR n <= {dirty} + {tenants} END,
       n > {dirty} AND n <= {dirty} + {tenants} - {bad_tenants} - {tenants_without_admin},
       CASE WHEN n % 11 = 0 THEN NULL ELSE n % 3 <> 0 END,
       CASE WHEN n % 25 = 3 THEN (ARRAY['google', 'github'])[1 + n % 2] END, CASE WHEN n % 25 = 3 THEN md5('oauth' || n) END,
       CASE WHEN n % 3 = 1 THEN 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.' || left(pg_temp.base64(pg_temp.bytes_of('refresh', n, 6)), 203)
                                || '.' || left(pg_temp.base64(pg_temp.bytes_of('mac', n, 1)), 43) END,
       CASE WHEN n % 40 = 7 THEN 'okta' END, CASE WHEN n % 40 = 7 THEN md5('sso' || n) END,
       CASE WHEN n % 40 = 7 THEN ('{{"department":  "d' || n % 9 || '"}}')::json END,
       CASE WHEN n % 7 <> 0 THEN n % 2 = 0 END, false, false, 0,
       (ARRAY['organization', 'organization', 'public', 'private'])[1 + n % 4]::profile_visibility_enum, 'en', 'UTC',
       CASE WHEN n % 5 = 0 THEN 'https://img.example.org/' || n || '.png' END,
       CASE WHEN n % 4 = 0 THEN 'Bio of user ' || n || ', ' || md5(n::text) || repeat(' lorem', (n % 7)::int) END,
       CASE WHEN n % 2 = 0 THEN '+46 70 ' || (1000000 + n % 9000000) END,
       timestamptz '2020-01-01' + n * interval '61.000001 seconds',
       CASE WHEN n % 2 = 0 THEN timestamptz '2024-06-01' + n * interval '7 seconds' END,
       CASE WHEN n % 5 <> 0 THEN timestamptz '2025-01-01' + (n % 500000) * interval '31 seconds' END
FROM (
    SELECT n, CASE WHEN n <= {each} * 7 THEN (n - 1) / {each} WHEN n <= {each} * 7 + {bad_tenants} THEN 7 ELSE 99 END AS k
    FROM generate_series(1::bigint, {users}) AS n
) AS numbered;

-- name: licenses
INSERT INTO licenses (id, license_key, license_secret, tenant_id, template_id, linked_subscription, issued_at, validity_days, payload)
SELECT CASE WHEN k = 0 THEN 'licence/' || n ELSE pg_temp.uuid_of('license', n) END,
       pg_temp.key_of(n), pg_temp.secret_of(n),
       CASE WHEN k = 1 THEN 'legacy-tenant-' || (n - {each}) ELSE pg_temp.tenant_of(n) END,
       pg_temp.uuid_of('template', n % 20),
       CASE WHEN n % 3 = 0 AND {subscriptions} > 0 THEN pg_temp.uuid_of('subscription', n % {subscriptions}) END,
       CASE WHEN n % 9 <> 1 THEN timestamptz '2026-01-01' + n * interval '0.47 seconds' END, CASE WHEN n % 9 = 0 THEN NULL ELSE 365 END,
       CASE n % 8 WHEN 1 THEN 'null'::json WHEN 2 THEN '{{"seats": 1.50, "seats": 2, "who": "O&#x27;Brien"}}'::json
                  ELSE ('{{"plan": "p' || n % 5 || '", "seats": ' || n % 100 || '}}')::json END
FROM (
    SELECT n, CASE WHEN n <= {each} THEN 0 WHEN n <= {each} + {bad_tenants} THEN 1 ELSE 99 END AS k
    FROM generate_series(1::bigint, {users}) AS n
) AS numbered;

-- name: roles
-- As an upgraded service has them: two global roles and permissions for seven resources; and a role of each tenant's own.
INSERT INTO permissions (id, name, resource, action, is_system)
SELECT pg_temp.uuid_of('permission', row_number() OVER ()), r || '.' || a, r, a, true
FROM unnest(ARRAY['users', 'roles', 'tenants', 'licenses', 'sessions', 'applications', 'profile']) AS r,
     unnest(ARRAY['create', 'read', 'write', 'delete']) AS a;
INSERT INTO roles (id, name, description, is_system, tenant_id) VALUES
    (pg_temp.uuid_of('role', 1), 'admin', 'Administrator', true, NULL), (pg_temp.uuid_of('role', 2), 'user', 'User', true, NULL);
INSERT INTO roles (id, name, is_system, tenant_id)
SELECT pg_temp.uuid_of('role', 2 + n), 'auditor', false, pg_temp.uuid_of('tenant', n) FROM generate_series({bad_tenants} + 1, {tenants}) AS n;
INSERT INTO role_permissions (role_id, permission_id)
SELECT r.id, p.id FROM roles AS r CROSS JOIN permissions AS p
WHERE r.name = 'admin' OR r.name = 'user' AND p.resource = 'profile' OR r.name = 'auditor' AND p.action = 'read';

-- name: user_roles
INSERT INTO user_roles (user_id, role_id, expires_at)
SELECT pg_temp.uuid_of('user', n), pg_temp.uuid_of('role', CASE WHEN n <= {dirty} + {tenants} THEN 1 ELSE 2 END),
       CASE WHEN n % 30 = 0 THEN timestamptz '2026-01-01' END
FROM generate_series({dirty} + 1::bigint, {users}) AS n WHERE n % 4 <> 0;

-- name: elsewhere
INSERT INTO social_connections (id, user_id, provider, provider_user_id, provider_email, profile_data, is_primary)
SELECT pg_temp.uuid_of('social', n), pg_temp.uuid_of('user', n), 'google', 'g' || n, 'user' || n || '@example.org', '{{"locale":  "sv"}}', true
FROM generate_series({dirty} + 1::bigint, {users}) AS n WHERE n % 25 = 3;
INSERT INTO oauth_clients (id, client_id, client_secret_hash, client_name, client_type, redirect_uris, allowed_grant_types, allowed_scopes, tenant_id, is_active)
SELECT pg_temp.uuid_of('client', n), left(translate(pg_temp.base64(pg_temp.bytes_of('client', n, 2)), '+/', '-_'), 43),
       left(translate(pg_temp.base64(pg_temp.bytes_of('clear', n, 3)), '+/', '-_'), 86), 'Application ' || n, 'confidential',
       '["https://app.example.org/callback"]', '["authorization_code", "refresh_token"]', '["openid", "profile"]',
       pg_temp.tenant_of(n), true
FROM generate_series(1, 5) AS n;
INSERT INTO oauth_client_users (user_id, client_id, scope)
SELECT pg_temp.uuid_of('user', n), pg_temp.uuid_of('client', 1 + n % 5), 'openid' FROM generate_series({dirty} + 1::bigint, {users}) AS n WHERE n % 50 = 9;
INSERT INTO user_sessions (id, user_id, session_id, device_info, ip_address, user_agent, is_active, expires_at)
SELECT pg_temp.uuid_of('session', n), pg_temp.uuid_of('user', n),
       left(translate(pg_temp.base64(pg_temp.bytes_of('session', n, 2)), '+/', '-_'), 43), '{{"browser": "Firefox"}}',
       '192.0.2.' || n % 250, 'Mozilla/5.0', true, timestamptz '2026-01-01' + n * interval '1 minute'
FROM generate_series({dirty} + 1::bigint, {users}) AS n WHERE n % 20 = 13;
