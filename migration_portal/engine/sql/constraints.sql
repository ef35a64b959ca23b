-- name: definitions
-- What a load suspends: everything but the primary key, CHECKs, and exclusion constraints.
-- Unique constraints are kept as the CREATE INDEX behind them, so that they are built without blocking readers.
SELECT i.relname AS name,
       CASE WHEN x.indisunique THEN 'unique' ELSE 'index' END AS kind,
       pg_get_indexdef(i.oid) AS definition,
       k.oid IS NOT NULL AS is_constraint
FROM pg_index AS x
JOIN pg_class AS i ON i.oid = x.indexrelid
LEFT JOIN pg_constraint AS k ON k.conindid = x.indexrelid AND k.contype = 'u'
WHERE x.indrelid = %(table)s::regclass AND NOT x.indisprimary AND NOT x.indisexclusion
  -- a unique index that another table's foreign key leans on has to stay
  AND NOT EXISTS (SELECT FROM pg_constraint AS f WHERE f.contype = 'f' AND f.conindid = x.indexrelid)
UNION ALL
SELECT conname, 'foreign_key', pg_get_constraintdef(oid), true
FROM pg_constraint
WHERE conrelid = %(table)s::regclass AND contype = 'f'
ORDER BY 2, 1

-- name: suspend
INSERT INTO portal_ledger.suspended (run, schema_name, table_name, name, kind, definition, is_constraint)
VALUES (%(run)s, %(schema)s, %(table)s, %(name)s, %(kind)s, %(definition)s, %(is_constraint)s)

-- name: waiting_indexes
SELECT name FROM portal_ledger.suspended
WHERE run = %(run)s AND table_name = %(table)s AND kind IN ('unique', 'index') AND restored_at IS NULL
ORDER BY kind DESC, name

-- name: waiting_constraints
-- Uniques first: they take an instant, and foreign keys may lean on them.
SELECT name FROM portal_ledger.suspended
WHERE run = %(run)s AND table_name = %(table)s AND kind IN ('unique', 'foreign_key') AND is_constraint AND restored_at IS NULL
ORDER BY kind DESC, name

-- name: waiting
SELECT name, kind, definition, is_constraint FROM portal_ledger.suspended
WHERE run = %(run)s AND table_name = %(table)s AND name = %(name)s AND restored_at IS NULL

-- name: restored
UPDATE portal_ledger.suspended SET restored_at = now()
WHERE run = %(run)s AND table_name = %(table)s AND name = %(name)s

-- name: validated
-- Foreign keys whose every row PostgreSQL itself has checked in this run.
SELECT name FROM portal_ledger.suspended WHERE run = %(run)s AND kind = 'foreign_key' AND restored_at IS NOT NULL

-- name: duplicate
-- All but the first by key of the rows that are alike in these columns.
s.ctid IN (SELECT ctid
           FROM (SELECT ctid, row_number() OVER (PARTITION BY {columns} ORDER BY {key}) AS n FROM {target} WHERE {set}) AS numbered
           WHERE n > 1)

-- name: runs_with_suspended
SELECT DISTINCT run FROM portal_ledger.suspended WHERE restored_at IS NULL
