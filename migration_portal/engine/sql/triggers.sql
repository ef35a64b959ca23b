-- name: triggers
-- Triggers of the application's that also fire for what we write.
SELECT c.relname AS table_name, string_agg(DISTINCT t.tgname, ', ' ORDER BY t.tgname) AS names
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = coalesce(pg_partition_root(t.tgrelid), t.tgrelid)
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = ANY(%(tables)s) AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
  AND NOT t.tgname ^@ 'portal_' AND t.tgname <> ALL(%(but)s) AND (NOT %(deleting)s OR t.tgtype & 8 <> 0)
GROUP BY 1 ORDER BY 1

-- name: always
-- What nothing silences: rules, and triggers of the application's that always fire.
SELECT c.relname AS table_name, what || string_agg(DISTINCT found.name, ', ' ORDER BY found.name) AS what
FROM (
    SELECT 'rules: ', ev_class, rulename, 1 FROM pg_rewrite WHERE rulename <> '_RETURN'
    UNION ALL
    SELECT 'triggers that always fire: ', tgrelid, tgname, 2 FROM pg_trigger
    WHERE tgenabled = 'A' AND NOT tgisinternal AND NOT tgname ^@ 'portal_'
) AS found (what, relation, name, place)
JOIN pg_class AS c ON c.oid = coalesce(pg_partition_root(found.relation), found.relation)
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = ANY(%(tables)s)
GROUP BY c.relname, what, place ORDER BY c.relname, place

-- name: unreadable
-- Tables that refer to ours and that our role may not look into.
SELECT p.relname AS table_name, string_agg(DISTINCT format('%%I.%%I', n.nspname, c.relname), ', ') AS children
FROM pg_constraint AS k
JOIN pg_class AS p ON p.oid = coalesce(pg_partition_root(k.confrelid), k.confrelid)
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND p.relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND p.relname = ANY(%(tables)s)
  AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
GROUP BY 1 ORDER BY 1
