-- The six steps of the capability migration, as what each table should hold: `t` is the owner.

-- name: tenant_capabilities
-- Steps 1 to 3: every capability that the system offers; the settings' lifetimes become the value of max_token_ttl.
SELECT t.id AS tenant_id, c.capability_key, true AS enabled,
       CASE WHEN c.capability_key = 'max_token_ttl' AND s.tenant_id IS NOT NULL THEN jsonb_strip_nulls(jsonb_build_object(
           'max_access_token_ttl_minutes', s.access_token_ttl_minutes,
           'max_refresh_token_ttl_days', s.refresh_token_ttl_days,
           'max_id_token_ttl_minutes', s.id_token_ttl_minutes,
           'remember_me_enabled', s.remember_me_enabled,
           'remember_me_refresh_token_ttl_days', s.remember_me_refresh_token_ttl_days,
           'remember_me_access_token_ttl_minutes', s.remember_me_access_token_ttl_minutes)) END AS value
FROM {tenants} AS t CROSS JOIN {system_capabilities} AS c LEFT JOIN {tenant_settings} AS s ON s.tenant_id = t.id
WHERE c.enabled AND {wanted}

-- name: tenant_feature_enablement
-- Step 4: only for a tenant that has the capability, of a system that offers it.
SELECT t.id AS tenant_id, 'mfa' AS feature_key, true AS enabled
FROM {tenants} AS t JOIN {tenant_settings} AS s ON s.tenant_id = t.id
WHERE s.mfa_required AND {wanted}
  AND EXISTS (SELECT FROM {system_capabilities} AS c WHERE c.capability_key = 'mfa' AND c.enabled)
  AND NOT EXISTS (SELECT FROM {tenant_capabilities} AS c
                  WHERE c.tenant_id = t.id AND c.capability_key = 'mfa' AND NOT c.enabled AND NOT ({fillable_capability}))

-- name: user_capability_state
-- Steps 5 and 6. The secret itself stays in users.
SELECT t.id AS user_id, c.capability_key, true AS enrolled,
       CASE c.capability_key WHEN 'totp' THEN '{{"has_secret": true}}'::jsonb END AS state_data,
       coalesce(t.updated_at, t.created_at) AS enrolled_at
FROM {users} AS t JOIN {system_capabilities} AS c
  ON c.capability_key = 'mfa' OR (c.capability_key = 'totp' AND t.mfa_secret_encrypted IS NOT NULL)
WHERE t.mfa_enabled AND {wanted}

-- name: undecided
{row}.configured_by IS NULL AND {row}.decided_by IS NULL AND {row}.value IS NULL

-- name: fillable
-- What nobody has decided and no run has written: the settings decide it.
{undecided}
AND (({row}.capability_key = 'max_token_ttl' AND {row}.enabled)
     OR ({row}.capability_key = 'mfa' AND NOT {row}.enabled
         AND EXISTS (SELECT FROM {tenant_settings} AS r WHERE r.tenant_id = {row}.tenant_id AND r.mfa_required)))
AND NOT EXISTS (SELECT FROM portal_ledger.tables AS l JOIN portal_ledger.commits AS m USING (run, table_name)
                WHERE l.table_name = 'tenant_capabilities' AND l.mode = 'load')
AND NOT EXISTS (SELECT FROM portal_ledger.overwritten AS o WHERE o.table_name = 'tenant_capabilities'
                AND o.key = ARRAY[{row}.tenant_id::text, {row}.capability_key])

-- name: stage
CREATE TEMP TABLE IF NOT EXISTS {stage} (LIKE {target} INCLUDING DEFAULTS) ON COMMIT DELETE ROWS

-- name: expect
INSERT INTO {stage} ({names}) SELECT {names} FROM ({expected}) AS expected

-- name: owned
-- Whether these owners have rows already.
SELECT EXISTS (SELECT FROM {owners} AS t WHERE {wanted} AND EXISTS (SELECT FROM {target} AS d WHERE d.{owner} = t.id))

-- name: load
INSERT INTO {target} ({names}) SELECT {names} FROM ({expected}) AS expected ON CONFLICT DO NOTHING

-- name: keep
-- Rows that are there as they should be, and rows that somebody else has written or changed since: they stay as they are.
DELETE FROM {stage} AS s USING {target} AS t WHERE {same} AND NOT ({differs} AND ({changeable}))

-- name: write
-- Asked once more of the row as it is now: somebody may have changed it since it was looked at.
INSERT INTO {target} AS t ({names}) SELECT {names} FROM {stage} ON CONFLICT ({key}) DO {action} AND ({still})

-- name: obsolete
-- Rows that runs wrote, nobody has changed since, and nothing asks for any more.
t.{owner} IN (SELECT t.id FROM {owners} AS t WHERE {wanted}) AND {ours}
AND NOT EXISTS (SELECT FROM ({expected}) AS s WHERE {same})

-- name: ownerless
t.{owner} IN (SELECT t.id FROM {owners} AS t WHERE {wanted})

-- name: remove
DELETE FROM {target} AS t WHERE {leaving}

-- name: would
-- What deriving would do, and to which rows.
SELECT CASE WHEN t.{owner} IS NULL THEN 'added' WHEN {changeable} THEN 'changed' ELSE 'kept' END AS what, {key} AS key
FROM ({expected}) AS s LEFT JOIN {target} AS t ON {same} WHERE t.{owner} IS NULL OR ({differs})
UNION ALL SELECT 'removed', {own_key} FROM {target} AS t WHERE {obsolete}
