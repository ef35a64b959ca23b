-- name: rows
-- About how many, by legacy's own statistics; -1 where it has none yet.
SELECT relname, reltuples::bigint FROM pg_class WHERE relnamespace = to_regnamespace(%(schema)s) AND relkind IN ('r', 'p')

-- name: requested
-- Writes a second through the portal, in the busiest minute of a week.
SELECT coalesce(max(writes), 0) / 60.0
  FROM (SELECT count(*) AS writes FROM legacy_compat_legacyrequest
         WHERE at > now() - interval '7 days' AND method NOT IN ('GET', 'HEAD', 'OPTIONS')
         GROUP BY date_trunc('minute', at)) AS minutes

-- name: captured
-- Entries a second that catch-up applied, in the busiest minute of a week.
SELECT coalesce(max(entries), 0) / 60.0
  FROM (SELECT sum(applied) AS entries FROM catchup_lagsample
         WHERE flow_id = 'forward' AND at > now() - interval '7 days'
         GROUP BY date_trunc('minute', at)) AS minutes

-- name: with_triggers
-- Tables whose own triggers would fire on a stage.
SELECT DISTINCT n.nspname, c.relname
  FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE NOT t.tgisinternal

-- name: largest
SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%(schema)s) AND relname = ANY(%(tables)s)
ORDER BY pg_relation_size(oid) DESC, relname LIMIT 1

-- name: writable
-- The key, or else another column: it may be one that only PostgreSQL writes.
SELECT column_name FROM information_schema.columns
WHERE table_schema = %(schema)s AND table_name = %(table)s
  AND is_generated = 'NEVER' AND identity_generation IS DISTINCT FROM 'ALWAYS'
ORDER BY column_name = %(key)s DESC LIMIT 1
