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
       a.attgenerated <> '' AS computed
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN made_of AS b ON b.type = a.atttypid AND b.typtype <> 'd'
LEFT JOIN without_length AS own ON own.type = a.atttypid
LEFT JOIN without_length AS made ON made.type = b.base
WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p')
ORDER BY c.relname, a.attnum

-- name: keys
-- Primary keys, and unique indexes that hold for every row.
SELECT c.relname AS table_name, i.relname AS name, x.indisprimary AS is_primary,
       ARRAY(SELECT a.attname FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
             JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum ORDER BY k.n)::text[] AS columns
FROM pg_index AS x
JOIN pg_class AS i ON i.oid = x.indexrelid
JOIN pg_class AS c ON c.oid = x.indrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND x.indisunique AND x.indpred IS NULL AND x.indexprs IS NULL
ORDER BY c.relname, i.relname

-- name: foreign_keys
SELECT c.relname AS table_name, k.conname AS name, p.relname AS parent, k.convalidated AS validated,
       ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS u(attnum, n)
             JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.n)::text[] AS columns,
       ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY AS u(attnum, n)
             JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.n)::text[] AS parent_columns
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_class AS p ON p.oid = k.confrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND k.contype = 'f'
ORDER BY c.relname, k.conname

-- name: referring
-- Foreign keys of any schema that lead to this table.
SELECT c.oid::regclass::text AS child,
       ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS u(attnum, n)
             JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.n)::text[] AS columns,
       ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY AS u(attnum, n)
             JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.n)::text[] AS parent_columns
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
WHERE k.contype = 'f' AND k.confrelid = %(table)s::regclass
