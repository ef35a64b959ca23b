-- What the capability migration must have led to, asked of each row anew and not of what derived it. Owners come as text.
-- A row that somebody else wrote or changed is theirs: what it says is no difference.

-- name: capability_defaults
SELECT t.id::text FROM {tenants} AS t
WHERE {tenant_here}
  AND (SELECT count(*) FROM {tenant_capabilities} AS c JOIN {system_capabilities} AS o USING (capability_key)
       WHERE c.tenant_id = t.id AND o.enabled) < (SELECT count(*) FROM {system_capabilities} AS o WHERE o.enabled)

-- name: capability_token_lifetimes
SELECT t.id::text FROM {tenants} AS t
JOIN {tenant_settings} AS s ON s.tenant_id = t.id
JOIN {tenant_capabilities} AS c ON c.tenant_id = t.id AND c.capability_key = 'max_token_ttl'
WHERE {tenant_here} AND {ours_tenant_capabilities}
  AND (c.value ->> 'max_access_token_ttl_minutes' IS DISTINCT FROM s.access_token_ttl_minutes::text
       OR c.value ->> 'max_refresh_token_ttl_days' IS DISTINCT FROM s.refresh_token_ttl_days::text
       OR c.value ->> 'max_id_token_ttl_minutes' IS DISTINCT FROM s.id_token_ttl_minutes::text
       OR c.value ->> 'remember_me_enabled' IS DISTINCT FROM s.remember_me_enabled::text
       OR c.value ->> 'remember_me_refresh_token_ttl_days' IS DISTINCT FROM s.remember_me_refresh_token_ttl_days::text
       OR c.value ->> 'remember_me_access_token_ttl_minutes' IS DISTINCT FROM s.remember_me_access_token_ttl_minutes::text)

-- name: capability_mfa
SELECT t.id::text FROM {tenants} AS t
JOIN {tenant_settings} AS s ON s.tenant_id = t.id AND s.mfa_required
JOIN {tenant_capabilities} AS c ON c.tenant_id = t.id AND c.capability_key = 'mfa'
WHERE {tenant_here} AND {ours_tenant_capabilities} AND NOT c.enabled

-- name: feature_mfa
SELECT t.id::text FROM {tenants} AS t
LEFT JOIN {tenant_settings} AS s ON s.tenant_id = t.id
LEFT JOIN {tenant_feature_enablement} AS c ON c.tenant_id = t.id AND c.feature_key = 'mfa'
WHERE {tenant_here} AND (c.tenant_id IS NULL OR {ours_tenant_feature_enablement})
  AND (c.tenant_id IS NOT NULL) <>
      (coalesce(s.mfa_required, false)
       AND EXISTS (SELECT FROM {tenant_capabilities} AS m JOIN {system_capabilities} AS o USING (capability_key)
                   WHERE m.tenant_id = t.id AND m.capability_key = 'mfa' AND m.enabled AND o.enabled))

-- name: user_mfa
SELECT t.id::text FROM {users} AS t
LEFT JOIN {user_capability_state} AS c ON c.user_id = t.id AND c.capability_key = 'mfa'
WHERE {user_here} AND (c.user_id IS NULL OR {ours_user_capability_state})
  AND coalesce(c.enrolled, false) <> coalesce(t.mfa_enabled, false)

-- name: user_totp
SELECT t.id::text FROM {users} AS t
LEFT JOIN {user_capability_state} AS c ON c.user_id = t.id AND c.capability_key = 'totp'
WHERE {user_here} AND (c.user_id IS NULL OR {ours_user_capability_state})
  AND coalesce(c.enrolled AND c.state_data = '{{"has_secret": true}}', false)
      <> (coalesce(t.mfa_enabled, false) AND t.mfa_secret_encrypted IS NOT NULL)

-- name: ours
EXISTS (SELECT FROM portal_ledger.commits AS m WHERE m.xid = c.xmin AND m.table_name = {table})
