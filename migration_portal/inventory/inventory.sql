-- name: database
SELECT current_database() AS name, pg_database_size(current_database()) AS bytes,
       current_setting('server_version') AS server_version, current_setting('server_encoding') AS encoding

-- name: tables
-- And the views that the plan makes rows of.
SELECT c.relname AS name, pg_total_relation_size(c.oid) AS bytes,
       (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
                                          'not_null', a.attnotnull) ORDER BY a.attnum)
        FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = {schema} AND (c.relkind IN ('r', 'p') OR c.relkind = 'v' AND c.relname = ANY ({views})) ORDER BY c.relname

-- name: users
SELECT count(*) AS total, count(*) FILTER (WHERE is_active) AS active,
       count(*) FILTER (WHERE is_superuser) AS superusers, count(*) FILTER (WHERE mfa_enabled) AS mfa
FROM {users} AS u

-- name: schemes
-- The census of password hashes, by what they begin with.
SELECT CASE WHEN hashed_password ~ '^($|[!*])' THEN 'none'
            WHEN hashed_password LIKE 'bcrypt_sha256$%' THEN 'bcrypt of SHA-256'
            WHEN hashed_password ~ '^[$]2[aby][$]' THEN 'bcrypt, cost ' || substr(hashed_password, 5, 2)
            WHEN hashed_password ~ '^(argon2)?[$]argon2' THEN 'argon2'
            WHEN hashed_password LIKE 'pbkdf2%' OR hashed_password LIKE '$pbkdf2%' THEN 'pbkdf2'
            WHEN hashed_password LIKE 'scrypt%' OR hashed_password LIKE '$scrypt%' THEN 'scrypt'
            WHEN hashed_password ~ '^[0-9a-f]{{32}}$' THEN 'md5-like'
            ELSE 'unknown' END AS scheme, count(*) AS count
FROM {users} AS u GROUP BY 1 ORDER BY 2 DESC

-- name: tenants
-- Per tenant, with those that users name but that do not exist. Aggregated before joining.
-- A UUID may be written in either case.
WITH t AS (SELECT {one} AS one, * FROM {tenants} AS t),
     u AS (SELECT {one} AS one, min(tenant_id) AS tenant_id, count(*) AS users, max(last_login) AS last_login
           FROM (SELECT tenant_id AS id, * FROM {users} AS u) AS u GROUP BY 1),
     l AS (SELECT {one} AS one, count(*) AS licenses FROM (SELECT tenant_id AS id FROM {licenses} AS l) AS l GROUP BY 1)
SELECT coalesce(t.id, u.tenant_id) AS id, t.id IS NOT NULL AS exists, t.name, t.slug, t.is_active, t.max_licenses,
       coalesce(u.users, 0) AS users, coalesce(l.licenses, 0) AS licenses, u.last_login
FROM t FULL JOIN u ON u.one = t.one LEFT JOIN l ON l.one = coalesce(t.one, u.one)
ORDER BY users DESC, id
