-- name: definitions
-- What a load sets aside: everything but the primary key, CHECKs, and exclusion constraints.
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
