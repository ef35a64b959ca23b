-- name: add
-- Rejected again (a retried chunk, a retried row): the newer reason holds, and a decision about the same one; a copy and catch-up
-- have two words for a key that another row has.
INSERT INTO portal_ledger.quarantine (run, table_name, source_table, source_key, tenant, reason, detail, data)
VALUES (%(run)s, %(table_name)s, %(source_table)s, %(source_key)s, %(tenant)s, %(reason)s, %(detail)s, %(data)s)
ON CONFLICT (run, table_name, source_key) DO UPDATE
SET reason = excluded.reason, detail = excluded.detail, data = excluded.data, tenant = excluded.tenant,
    state = CASE WHEN quarantine.state = 'discarded'
         AND replace(quarantine.reason, 'key_twice', 'duplicate_key') = replace(excluded.reason, 'key_twice', 'duplicate_key')
        THEN 'discarded' ELSE 'open' END,
    decided_at = CASE WHEN quarantine.state = 'discarded'
         AND replace(quarantine.reason, 'key_twice', 'duplicate_key') = replace(excluded.reason, 'key_twice', 'duplicate_key')
        THEN quarantine.decided_at END,
    decided_by = CASE WHEN quarantine.state = 'discarded'
         AND replace(quarantine.reason, 'key_twice', 'duplicate_key') = replace(excluded.reason, 'key_twice', 'duplicate_key')
        THEN quarantine.decided_by ELSE '' END

-- name: absent
SELECT source_key FROM portal_ledger.quarantine
WHERE run = %(run)s AND table_name = %(table)s AND state <> 'copied' AND reason LIKE %(reasons)s

-- name: twins
SELECT source_key FROM portal_ledger.quarantine
WHERE run = %(run)s AND table_name = %(table)s AND state <> 'copied' AND reason = ANY(%(reasons)s)

-- name: discarded
SELECT source_key FROM portal_ledger.quarantine
WHERE run = %(run)s AND table_name = %(table)s AND state = 'discarded' AND cardinality(source_key) = %(parts)s

-- name: open_with_tenant
SELECT id, source_key, tenant FROM portal_ledger.quarantine
WHERE run = %(run)s AND table_name = %(table)s AND state = 'open'

-- name: close
UPDATE portal_ledger.quarantine
SET state = %(state)s, decided_at = now(), decided_by = %(by)s
WHERE id = ANY(%(ids)s) AND state = 'open' RETURNING id

-- name: whose
-- Those of these tenants about whose rows something is undecided: kept back, or written on the wrong side. NULL may be anybody's.
SELECT lower(tenant) AS tenant FROM portal_ledger.quarantine
WHERE run = %(run)s AND state = 'open' AND (tenant IS NULL OR lower(tenant) = ANY(%(tenants)s))
UNION
SELECT lower(tenant) FROM portal_ledger.strays
WHERE run = %(run)s AND state = 'open' AND (tenant IS NULL OR lower(tenant) = ANY(%(tenants)s))
