-- name: next
-- The oldest batch of touched keys, but for some.
SELECT t.id, t.source_table, ARRAY(SELECT k FROM unnest(t.keys) AS k) AS texts
FROM portal_ledger.touched AS t WHERE run = %(run)s AND id <> ALL(%(but)s::bigint[]) ORDER BY id LIMIT 1

-- name: keys
SELECT k::text[] FROM unnest(%(texts)s::text[]) AS k

-- name: settled
-- What still waits to be applied is asked about later; the rest is done.
WITH gone AS (DELETE FROM portal_ledger.touched WHERE id = %(id)s RETURNING run, source_table)
INSERT INTO portal_ledger.touched (run, source_table, keys)
SELECT run, source_table, %(later)s::text[] FROM gone WHERE cardinality(%(later)s::text[]) > 0

-- name: count
SELECT coalesce(sum(cardinality(keys)), 0)::bigint FROM portal_ledger.touched WHERE run = %(run)s

-- name: touch
INSERT INTO portal_ledger.touched (run, source_table, keys)
SELECT {run}, {source}, array_agg(portal_source_key::text) FROM {keys}
WHERE array_position(portal_source_key, NULL) IS NULL HAVING count(*) > 0
