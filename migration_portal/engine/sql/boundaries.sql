-- name: starts
-- The first key of every range.
SELECT {key} FROM (SELECT {keys}, row_number() OVER (ORDER BY {keys}) AS portal_n FROM {table}{sample}) AS numbered
WHERE portal_n % {size} = 1 ORDER BY portal_n

-- name: size
-- Bytes, and rows as the planner knows them.
SELECT pg_table_size(c.oid)::float8, greatest(c.reltuples, 0)::float8 FROM pg_class AS c WHERE c.oid = %(table)s::regclass
