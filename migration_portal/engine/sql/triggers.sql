-- name: triggers
-- Triggers of the application's that also fire for what we write.
SELECT c.relname AS table_name, string_agg(t.tgname, ', ' ORDER BY t.tgname) AS names
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = ANY(%(tables)s) AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
  AND NOT t.tgname ^@ 'portal_' AND t.tgname <> ALL(%(but)s) AND (NOT %(deleting)s OR t.tgtype & 8 <> 0)
GROUP BY 1 ORDER BY 1
