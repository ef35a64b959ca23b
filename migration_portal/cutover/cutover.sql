-- name: impact
-- What a tenant has in the IAM.
SELECT (SELECT count(*) FROM users WHERE tenant_id = %(tenant)s) AS users,
       (SELECT count(*) FROM licenses WHERE tenant_id = %(tenant)s) AS licences,
       (SELECT max(greatest(last_login, last_login_at, updated_at)) FROM users WHERE tenant_id = %(tenant)s) AS last_activity

-- name: users
-- Users of each of these tenants.
SELECT tenant_id::text AS id, count(*) AS n FROM users WHERE tenant_id = ANY(%(tenants)s::uuid[]) GROUP BY 1

-- name: quarantined
-- Rows of each of these tenants in quarantine; legacy may write a tenant's id in another case.
SELECT lower(tenant) AS id, count(*) AS n FROM portal_ledger.quarantine
WHERE run = %(run)s AND state = 'open' AND tenant = ANY(%(tenants)s) GROUP BY 1

-- name: sizes
-- What waves choose tenants by.
SELECT t.id::text, t.created_at, count(u.id) AS users, max(coalesce(u.last_login_at, u.last_login)) AS last_activity, s.plans
FROM tenants AS t
LEFT JOIN users AS u ON u.tenant_id = t.id
LEFT JOIN (SELECT tenant_id, array_agg(DISTINCT lower(plan_id)) FILTER (WHERE plan_id IS NOT NULL) AS plans
           FROM subscriptions WHERE status = 'active' GROUP BY tenant_id) AS s ON s.tenant_id = t.id
GROUP BY t.id, s.plans

-- name: plans
-- The plans of active subscriptions, with how many tenants have each.
SELECT lower(plan_id) AS plan, count(DISTINCT tenant_id) AS tenants FROM subscriptions
WHERE status = 'active' AND plan_id IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50
