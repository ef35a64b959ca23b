-- name: columns
-- Of a table or a view; none where there is none.
SELECT column_name::text FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position

-- name: tables
-- Every table with rows of its own, with its columns in the alphabet's order: a restored child of an inherited table may
-- have them in another. Tables of extensions are theirs to fill.
SELECT n.nspname AS schema, c.relname AS name, pg_table_size(c.oid) AS bytes,
       (SELECT coalesce(array_agg(a.attname ORDER BY a.attname), '{}') FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       (SELECT coalesce(array_agg(a.attname), '{}') FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND a.atttypid::regtype::text = ANY ('{uuid,text,character varying,boolean,smallint,integer,bigint,date,
              timestamp with time zone,timestamp without time zone,bytea}')
          AND NOT EXISTS (SELECT FROM pg_collation AS l WHERE l.oid = a.attcollation AND NOT l.collisdeterministic)) AS plain
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
ORDER BY n.nspname, c.relname

-- name: sum_table
-- Rows, and the sum of their hashes: it does not depend on their order. Values whose hash depends on them alone are hashed as
-- they are; others (an enum's hash is of an oid, 1.0 and 1.00 have the same) as text, in a session whose settings are pinned.
SELECT count(*), coalesce(sum(hash_record_extended(ROW({columns}), 0)::numeric), 0)::text FROM ONLY {table}

-- name: sequences
SELECT schemaname || '.' || sequencename AS name, coalesce(last_value, start_value - increment_by) AS last
FROM pg_sequences ORDER BY 1

-- name: objects
-- Everything that is no row: how many of each kind, and a hash over what tells them apart. Not over their expressions: the
-- server writes ANY (ARRAY[…]) of varchar otherwise once it has read it back.
WITH ours AS (
  SELECT n.oid, n.nspname FROM pg_namespace AS n WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
), extended AS (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), defined (kind, definition) AS (
  SELECT 'columns', format('%s.%s.%s %s %s %s', o.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
         a.attnotnull, a.atthasdef)
  FROM ours AS o JOIN pg_class AS c ON c.relnamespace = o.oid AND c.relkind IN ('r', 'p', 'v', 'm')
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT 'indexes', format('%s.%s on %s unique %s partial %s', o.nspname, c.relname, i.indrelid::regclass, i.indisunique,
         i.indpred IS NOT NULL)
      || (SELECT string_agg(coalesce(a.attname, '(…)'), ',' ORDER BY k.place) FROM unnest(i.indkey::int2[]) WITH ORDINALITY
          AS k (number, place) LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number)
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN ours AS o ON o.oid = c.relnamespace
  UNION ALL
  SELECT 'constraints', format('%s.%s on %s %s %s', o.nspname, k.conname, k.conrelid::regclass, k.contype,
         CASE WHEN k.contype IN ('f', 'p', 'u') THEN pg_get_constraintdef(k.oid) END)
  FROM pg_constraint AS k JOIN ours AS o ON o.oid = k.connamespace WHERE k.contype <> 'n'
  UNION ALL
  SELECT 'triggers', format('%s.%s %s %s %s %s', o.nspname, c.relname, t.tgname, t.tgtype, t.tgenabled, t.tgfoid::regproc)
  FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN ours AS o ON o.oid = c.relnamespace WHERE NOT t.tgisinternal
  UNION ALL
  SELECT 'functions', pg_get_functiondef(p.oid) FROM pg_proc AS p JOIN ours AS o ON o.oid = p.pronamespace
  WHERE p.prokind IN ('f', 'p') AND ('pg_proc'::regclass, p.oid) NOT IN (SELECT classid, objid FROM extended)
  UNION ALL
  SELECT 'views', format('%s.%s', o.nspname, c.relname) FROM pg_class AS c
  JOIN ours AS o ON o.oid = c.relnamespace WHERE c.relkind IN ('v', 'm')
    AND ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM extended)
)
SELECT kind, count(*) AS count, sum(hashtextextended(definition COLLATE "C", 0)::numeric)::text AS hash
FROM defined GROUP BY kind ORDER BY kind

-- name: like
-- What a database must have in common with the one it is to stand for. The provider's locale has had three names.
SELECT pg_encoding_to_char(d.encoding) AS encoding, d.datcollate AS collate, d.datctype AS ctype, d.datlocprovider AS provider,
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') AS locale, to_jsonb(d) ->> 'daticurules' AS rules,
       r.rolname AS owner
FROM pg_database AS d JOIN pg_roles AS r ON r.oid = d.datdba WHERE d.datname = %(name)s

-- name: settings_of
-- What ALTER DATABASE and ALTER ROLE … IN DATABASE have set, for one role or for all.
SELECT r.rolname AS role, split_part(one, '=', 1) AS name, substr(one, strpos(one, '=') + 1) AS value
FROM pg_db_role_setting AS s JOIN pg_database AS d ON d.oid = s.setdatabase LEFT JOIN pg_roles AS r ON r.oid = s.setrole,
     unnest(s.setconfig) AS one
WHERE d.datname = %(name)s

-- name: grants_of
-- Who may connect, and what else the database itself grants.
SELECT CASE WHEN a.grantee = 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END AS grantee, a.privilege_type AS privilege
FROM pg_database AS d, aclexplode(d.datacl) AS a WHERE d.datname = %(name)s

-- name: other_sessions
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %(name)s AND pid <> pg_backend_pid()

-- name: comment
SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %(name)s

-- name: keys
-- Tables with a primary key, its columns, the columns that can be written, and the tables they refer to.
SELECT n.nspname AS schema, c.relname AS name,
       (SELECT array_agg(a.attname ORDER BY k.place) FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.number) AS key,
       (SELECT array_agg(a.attname ORDER BY a.attname) FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns,
       (SELECT coalesce(array_agg(DISTINCT format('%s.%s', pn.nspname, p.relname)), '{}') FROM pg_constraint AS f
        JOIN pg_class AS p ON p.oid = f.confrelid JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
        WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.confrelid <> c.oid) AS parents
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^(pg_|portal_)'
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
ORDER BY n.nspname, c.relname

-- name: rows_by_key
-- Both databases in one order, whatever their collations are, so that they can be merged.
SELECT {key} AS key, hashtextextended(ROW({columns})::text COLLATE "C", 0) AS hash, {tenant} AS tenant FROM {table}
ORDER BY 1

-- name: rows_of_keys
SELECT {columns} FROM {table} WHERE {wanted}

-- name: put_rows
INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {stage}
ON CONFLICT ({key}) DO UPDATE SET {sets}

-- name: uniques
SELECT array_agg(a.attname::text ORDER BY k.place)
FROM pg_index AS i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (number, place)
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indrelid = %(table)s::regclass AND i.indisunique AND NOT i.indisprimary AND i.indpred IS NULL AND i.indexprs IS NULL
GROUP BY i.indexrelid

-- name: remove_rows
DELETE FROM {table} WHERE {wanted}
