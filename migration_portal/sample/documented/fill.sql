-- name: helpers
-- Deterministic by seed: the same seed gives the same rows on any server.
CREATE FUNCTION pg_temp.uuid_of(kind text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT md5({seed} || kind || n)::uuid::text $$;

CREATE FUNCTION pg_temp.tenant_of(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT pg_temp.uuid_of('tenant', {bad_tenants} + 1 + n % ({tenants} - {bad_tenants})) $$;

-- name: tenants
INSERT INTO tenants (id, name, slug, is_active, created_at, max_licenses)
SELECT CASE WHEN n <= {bad_tenants} THEN 'legacy-tenant-' || n ELSE pg_temp.uuid_of('tenant', n) END,
       CASE n % 4 WHEN 0 THEN 'Företag ' WHEN 1 THEN '会社 ' WHEN 2 THEN 'شركة ' ELSE 'Company ' END || n,
       'tenant-' || n,
       CASE WHEN n = {bad_tenants} + 1 THEN NULL ELSE n % 50 <> 0 END,
       timestamptz '2019-01-01' + n * interval '1 hour', 10 + n % 90
FROM generate_series(1, {tenants}) AS n;

-- name: tenant_settings
INSERT INTO tenant_settings (tenant_id, access_token_ttl_minutes, password_expiry_days, mfa_required, min_password_length)
SELECT id, 5 + row_number() OVER (ORDER BY slug) % 60, CASE WHEN slug LIKE '%7' THEN 90 END, slug LIKE '%5', 8 + length(slug) % 8
FROM tenants;

-- name: users
-- The first rows are dirty, {each} of a kind: k is the kind, 0 the first; the rest are clean.
INSERT INTO users (id, tenant_id, email, username, full_name, hashed_password, is_active, is_superuser, is_verified,
                   avatar_url, bio, phone_number, mfa_enabled, mfa_secret_encrypted, refresh_token,
                   created_at, updated_at, last_login)
SELECT CASE WHEN k = 0 THEN 'user-' || n
            WHEN k = 2 THEN upper(pg_temp.uuid_of('user', n + {each}))
            ELSE pg_temp.uuid_of('user', n) END,
       CASE WHEN k = 1 THEN pg_temp.uuid_of('gone', n)
            WHEN k = 11 THEN 'legacy-tenant-' || (n - 11 * {each})
            WHEN k IN (4, 5) THEN pg_temp.tenant_of(n % {each})
            ELSE pg_temp.tenant_of(n) END,
       CASE WHEN k = 4 THEN 'Twin' || (n - 4 * {each}) || '@example.org'
            WHEN k = 5 THEN 'twin' || (n - 5 * {each}) || '@example.org'
            WHEN n = 12 * {each} + {bad_tenants} THEN ''
            ELSE 'user' || n || '@example.' || CASE n % 3 WHEN 0 THEN 'org' WHEN 1 THEN 'com' ELSE 'net' END END,
       'user' || n,
       CASE WHEN k = 7 THEN 'Pat O&#x27;Brien ' || n
            ELSE (ARRAY['Åsa Öberg', '李小龍', 'أحمد علي', 'Zoë D’Arcy', 'Иван Петров', 'Ann Lee', 'नेहा', 'e' || U&'\0301' || 'mile ' || U&'\200B'])[1 + n % 8]
                 || ' ' || n END,
       CASE WHEN k = 9 THEN CASE n % 2 WHEN 0 THEN 'pbkdf2_sha256$600000$salt$' || md5(n::text) ELSE md5(n::text) END
            ELSE ({hashes}::text[])[1 + n % 4] END,
       CASE WHEN k = 6 THEN NULL ELSE n % 20 <> 0 OR n <= {dirty} + {tenants} END,
       -- one administrator a tenant, but for the tenants that have none
       n > {dirty} AND n <= {dirty} + {tenants} - {bad_tenants} - {tenants_without_admin},
       n % 3 <> 0,
       CASE WHEN n % 5 = 0 THEN 'https://img.example.org/' || n || '.png' END,
       CASE WHEN n % 4 = 0 THEN 'Bio of user ' || n || ', ' || md5(n::text) || repeat(' lorem', (n % 7)::int) END,
       CASE WHEN n % 2 = 0 THEN '+46 70 ' || (1000000 + n % 9000000) END,
       CASE WHEN k = 8 THEN true ELSE n % 10 = 1 END,
       CASE WHEN k <> 8 AND n % 10 = 1 THEN encode(sha256(n::text::bytea), 'base64') END,
       CASE WHEN n % 3 = 1 THEN md5('refresh' || n) END,
       CASE WHEN k = 3 THEN timestamptz '1901-12-13' + n * interval '1 minute'
            WHEN k = 10 THEN timestamptz '2999-12-31' + n * interval '1 day'
            ELSE timestamptz '2020-01-01' + n * interval '61 seconds' END,
       CASE WHEN n % 2 = 0 THEN timestamptz '2024-06-01' + n * interval '7 seconds' END,
       CASE WHEN n % 5 <> 0 THEN timestamptz '2025-01-01' + (n % 500000) * interval '31 seconds' END
FROM (
    SELECT n, CASE WHEN n <= {each} * 11 THEN (n - 1) / {each}
                   WHEN n <= {each} * 11 + {bad_tenants} THEN 11 ELSE 99 END AS k
    FROM generate_series(1::bigint, {users}) AS n
) AS numbered;

-- name: licenses
INSERT INTO licenses (id, license_key, license_secret, tenant_id, template_id, linked_subscription, issued_at, validity_days, payload)
SELECT CASE WHEN k = 0 THEN 'licence/' || n ELSE pg_temp.uuid_of('license', n) END,
       CASE WHEN n % 50 = 0 THEN 'SIG/' || n || '/' ELSE 'SIG-' || n || '-' END || upper(substr(md5({seed} || 'key' || n), 1, 12)),
       md5('secret' || n),
       CASE WHEN k = 1 THEN pg_temp.uuid_of('gone', n) WHEN k = 3 THEN 'legacy-tenant-' || (n - 2 * {each} - 2)
            ELSE pg_temp.tenant_of(n) END,
       pg_temp.uuid_of('template', n % 20), CASE WHEN n % 3 = 0 THEN pg_temp.uuid_of('subscription', n % 1000) END,
       timestamptz '2022-01-01' + n * interval '47 seconds', CASE WHEN n % 9 = 0 THEN NULL ELSE 365 END,
       CASE WHEN k = 2 THEN ('{{"blob": "' || repeat(md5(n::text), 32768) || '"}}')::json
            WHEN n % 1000 = 7 THEN '{{"odd": "\u0000 and \ud83d\ude00", "empty": ""}}'::json
            ELSE ('{{"plan": "p' || n % 5 || '", "seats": ' || n % 100 || '}}')::json END
FROM (
    SELECT n, CASE WHEN n <= {each} THEN 0 WHEN n <= 2 * {each} THEN 1 WHEN n <= 2 * {each} + 2 THEN 2
                   WHEN n <= 2 * {each} + 2 + {bad_tenants} THEN 3 ELSE 99 END AS k
    FROM generate_series(1::bigint, {users}) AS n
) AS numbered;
