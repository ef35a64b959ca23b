-- name: columns
-- format_type without the modifier: a cast to it never truncates; "character" and "bit" alone would mean one of each.
-- `portable`: what the other server knows, too, and what COPY sends in the same bytes: of a domain what it is made of, of an enumeration (or citext) its text. Nothing else is.
WITH RECURSIVE made_of AS (
    SELECT oid AS type, oid AS base, typtype, typbasetype, typnamespace, typcategory FROM pg_type
    UNION ALL
    SELECT made_of.type, t.oid, t.typtype, t.typbasetype, t.typnamespace, t.typcategory
    FROM made_of JOIN pg_type AS t ON t.oid = made_of.typbasetype
    WHERE made_of.typtype = 'd'
), without_length (type, written) AS (
    VALUES ('bpchar'::regtype::oid, 'bpchar'), ('_bpchar'::regtype, 'bpchar[]'),
           ('bit'::regtype, 'bit varying'), ('_bit'::regtype, 'bit varying[]')
)
SELECT c.relname AS table_name, a.attname AS name, coalesce(own.written, format_type(a.atttypid, NULL)) AS type,
       CASE WHEN b.typnamespace <> 'pg_catalog'::regnamespace AND (b.typtype = 'e' OR b.typcategory = 'S') THEN 'text'
            ELSE coalesce(made.written, format_type(b.base, NULL)) END AS portable,
       a.attnotnull AS not_null,
       (a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '') AS has_default,
       format_type(a.atttypid, a.atttypmod) AS full_type,
       a.attgenerated <> '' AS computed, a.attidentity = 'a' AS numbered, c.relkind = 'v' AS of_view,
       format_type(b.base, NULL) IN ('citext', 'real', 'double precision', 'interval', 'time with time zone')
       OR b.base = 'numeric'::regtype AND format_type(a.atttypid, a.atttypmod) NOT LIKE 'numeric(%%'
       OR coalesce(to_jsonb(l) ->> 'collisdeterministic', 'true') = 'false' AS loose
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN made_of AS b ON b.type = a.atttypid AND b.typtype <> 'd'
LEFT JOIN without_length AS own ON own.type = a.atttypid
LEFT JOIN without_length AS made ON made.type = b.base
LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v')
ORDER BY c.relname, a.attnum

-- name: types
-- Of these tables alone, and nothing but what drift is about: it is asked before each move of a tenant.
SELECT c.relname AS table_name, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS full_type
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s) AND c.relname = ANY (%(tables)s)
  AND c.relkind IN ('r', 'p', 'v')

-- name: unique_columns
-- What must differ in these tables' rows, by indexes over columns and all rows.
SELECT c.relname AS table_name,
       ARRAY(SELECT a.attname FROM unnest((x.indkey::int2[])[0:x.indnkeyatts - 1]) AS k(attnum)
             JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum)::text[] AS columns
FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indrelid
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s) AND c.relname = ANY (%(tables)s)
  AND x.indisunique AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL

-- name: keys
-- Primary keys and unique indexes. `parts` are empty where every row counts and its columns, which the index INCLUDEs no others of, are what must differ.
-- What an index over expressions or some rows is made of, its dependencies say; that NULLs are alike, only PostgreSQL 15 and later.
SELECT c.relname AS table_name, i.relname AS name, x.indisprimary AS is_primary,
       CASE WHEN of.plain
            THEN ARRAY(SELECT a.attname FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
                       JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum
                       WHERE k.n <= x.indnkeyatts ORDER BY k.n)::text[]
            ELSE ARRAY(SELECT a.attname FROM pg_attribute AS a
                       WHERE a.attrelid = c.oid AND a.attnum > 0
                         AND (a.attnum = ANY ((x.indkey::int2[])[0:x.indnkeyatts - 1])
                              OR EXISTS (SELECT FROM pg_depend AS d
                                         WHERE d.classid = 'pg_class'::regclass AND d.objid = x.indexrelid
                                           AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
                                           AND d.refobjsubid = a.attnum))
                       ORDER BY a.attnum)::text[] END AS columns,
       CASE WHEN of.plain THEN '{}'
            ELSE ARRAY(SELECT pg_get_indexdef(x.indexrelid, n, false) FROM generate_series(1, x.indnkeyatts) AS n)
       END AS parts,
       coalesce(pg_get_expr(x.indpred, x.indrelid), '') AS condition, of.nulls_alike, NOT x.indimmediate AS deferrable
FROM pg_index AS x
CROSS JOIN LATERAL (SELECT coalesce((to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, false)) AS null_values(alike)
CROSS JOIN LATERAL (
    SELECT x.indpred IS NULL AND x.indexprs IS NULL AND NOT null_values.alike AS plain, null_values.alike AS nulls_alike
) AS of
JOIN pg_class AS i ON i.oid = x.indexrelid
JOIN pg_class AS c ON c.oid = x.indrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND x.indisunique AND x.indisvalid
ORDER BY c.relname, i.relname

-- name: foreign_keys
-- Those within the schema: others the server alone knows.
SELECT c.relname AS table_name, k.conname AS name, p.relname AS parent, k.convalidated AS validated,
       ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS u(attnum, n)
             JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.n)::text[] AS columns,
       ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY AS u(attnum, n)
             JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.n)::text[] AS parent_columns
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_class AS p ON p.oid = k.confrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND k.contype = 'f' AND p.relnamespace = c.relnamespace
  -- To a table of partitions there is one more a partition, to each of them.
  AND NOT EXISTS (SELECT FROM pg_constraint AS whole WHERE whole.oid = k.conparentid AND whole.conrelid = k.conrelid)
ORDER BY c.relname, k.conname

-- name: referring
-- Foreign keys of any schema that lead to this table or to a partition of its, and what becomes of who refers: whether it goes or loses its reference when the row goes, and changes when its key does.
SELECT DISTINCT c.oid::regclass::text AS child, n.nspname::text AS schema, c.relname::text AS name,
       k.confdeltype IN ('c', 'n', 'd') AS goes_along, k.confdeltype = 'c' AS cascades, k.confupdtype IN ('c', 'n', 'd') AS changes_along,
       ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS u(attnum, n)
             JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.n)::text[] AS columns,
       ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY AS u(attnum, n)
             JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.n)::text[] AS parent_columns
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = coalesce(pg_partition_root(k.conrelid), k.conrelid)
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND %(table)s::regclass IN (k.confrelid, pg_partition_root(k.confrelid))
