-- name: some
SELECT source_table, key, key::text FROM portal_ledger.touched WHERE run = %(run)s ORDER BY touched_at LIMIT %(most)s

-- name: settled
DELETE FROM portal_ledger.touched WHERE run = %(run)s AND source_table = %(source)s AND key::text = ANY(%(keys)s)

-- name: count
SELECT count(*) FROM portal_ledger.touched WHERE run = %(run)s

-- name: touch
INSERT INTO portal_ledger.touched (run, source_table, key)
SELECT {run}, {source}, portal_source_key FROM {keys} ON CONFLICT (run, source_table, key) DO NOTHING
