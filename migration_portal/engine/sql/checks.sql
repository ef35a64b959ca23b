-- name: count
SELECT count(*) FROM {table}

-- name: orphans
SELECT count(*) FROM {child} AS c WHERE {set} AND NOT EXISTS (SELECT FROM {parent} AS p WHERE {joined})

-- name: tenants_without_admin
-- Active tenants in which nobody active administers: nobody could let the others in. A superuser without a role is an administrator.
SELECT t.id::text FROM {tenants} AS t
WHERE t.is_active AND NOT EXISTS (
    SELECT FROM {users} AS u
    LEFT JOIN {user_roles} AS ur ON ur.user_id = u.id
    LEFT JOIN {roles} AS r ON r.id = ur.role_id
    WHERE u.tenant_id = t.id AND u.is_active AND (r.name = 'admin' OR ur.user_id IS NULL AND u.is_superuser)
)

-- name: users_without_role
SELECT u.id::text FROM {users} AS u WHERE NOT EXISTS (SELECT FROM {user_roles} AS ur WHERE ur.user_id = u.id)

-- name: users_without_tenant
SELECT u.id::text FROM {users} AS u
WHERE u.tenant_id IS NULL OR NOT EXISTS (SELECT FROM {tenants} AS t WHERE t.id = u.tenant_id)

-- name: save
INSERT INTO portal_ledger.checks (run, verification, name, severity, summary, advice, details)
VALUES (%(run)s, %(verification)s, %(name)s, %(severity)s, %(summary)s, %(advice)s, %(details)s)
ON CONFLICT (run, verification, name) DO UPDATE
SET severity = excluded.severity, summary = excluded.summary, advice = excluded.advice, details = excluded.details

-- name: findings_by_field
SELECT table_name, field, kind, count(*) FROM portal_ledger.findings
WHERE run = %(run)s AND verification = %(verification)s GROUP BY 1, 2, 3
