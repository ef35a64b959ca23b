-- name: long_transactions
SELECT pid, coalesce(usename, '') AS role, coalesce(application_name, '') AS application,
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - interval '60 s'
ORDER BY xact_start

-- name: prepared
SELECT gid, owner, extract(epoch FROM clock_timestamp() - prepared)::float8 AS seconds
FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared

-- name: hidden_rows
SELECT c.relname AS table_name, row_security_active(c.oid) AS active
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = ANY(%(tables)s) AND c.relrowsecurity ORDER BY 1

-- name: odd_columns
-- Columns that only the server writes, and those that count by a sequence.
SELECT c.relname AS table_name, a.attname AS column_name, a.attgenerated <> '' AS generated, a.attidentity = 'a' AS always,
       pg_get_serial_sequence(format('%%I.%%I', n.nspname, c.relname), a.attname) AS sequence
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped
  AND (a.attgenerated <> '' OR pg_get_serial_sequence(format('%%I.%%I', n.nspname, c.relname), a.attname) IS NOT NULL)
ORDER BY 1, 2

-- name: partitioned
SELECT c.relname AS table_name, pg_get_userbyid(c.relowner) AS owner FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = ANY(%(tables)s) AND c.relkind = 'p' ORDER BY 1

-- name: role_settings
SELECT unnest(setconfig) AS setting FROM pg_db_role_setting
WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))

-- name: server
SELECT pg_is_in_recovery() AS standby, (SELECT count(*) FROM pg_stat_replication) AS standbys,
       (SELECT datcollate FROM pg_database WHERE datname = current_database()) AS collation,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
           - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS free,
       extract(epoch FROM clock_timestamp())::float8 AS clock
