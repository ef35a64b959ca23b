-- name: stretches
-- The partitions in the order of their ids, with the bounds that are numbers.
SELECT relname, size, nullif(bounds[1], 'MINVALUE')::bigint, nullif(bounds[2], 'MAXVALUE')::bigint
  FROM (SELECT c.relname, pg_total_relation_size(c.oid) AS size,
               regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''?(\w+)''?\) TO \(''?(\w+)''?\)') AS bounds
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'audit_event'::regclass) AS each
 ORDER BY 3 NULLS FIRST
