INSERT INTO legacy_compat_mismatch AS m
    (endpoint, field, count, first_at, last_at, tenant, legacy, iam, state, decided_by, reason)
VALUES (%s, %s, 1, %s, %s, %s, %s, %s, 'open', '', '')
ON CONFLICT (endpoint, field) DO UPDATE
SET count = m.count + 1, last_at = excluded.last_at, tenant = excluded.tenant, legacy = excluded.legacy, iam = excluded.iam
