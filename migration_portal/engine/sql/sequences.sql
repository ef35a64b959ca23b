-- name: behind_columns
-- Columns of these tables that take their numbers from a sequence of their own (serial, identity).
SELECT c.relname AS table_name, a.attname AS column_name, q.sequence
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
CROSS JOIN LATERAL (SELECT pg_get_serial_sequence(format('%%I.%%I', n.nspname, c.relname), a.attname) AS sequence) AS q
WHERE n.nspname = %(schema)s AND c.relname = ANY(%(tables)s) AND c.relkind IN ('r', 'p') AND q.sequence IS NOT NULL

-- name: advance
SELECT setval({sequence}, held.most) FROM (SELECT max({column})::bigint AS most FROM {table}) AS held, {name} AS s
WHERE held.most > s.last_value OR (held.most = s.last_value AND NOT s.is_called)
