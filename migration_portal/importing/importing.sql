-- name: held
-- A schema with tables that are not an import of ours.
SELECT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'portal_capture')
  AND n.nspname !~ '^pg_toast'
  AND coalesce(obj_description(n.oid, 'pg_namespace'), '') <> %(signed)s LIMIT 1
