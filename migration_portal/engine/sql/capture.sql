-- name: version
SELECT to_regclass('portal_capture.queue') IS NOT NULL, obj_description(to_regnamespace('portal_capture'), 'pg_namespace')

-- name: sign
COMMENT ON SCHEMA portal_capture IS {version}

-- name: schema
-- Everything of ours in a database that is not ours: removing it is dropping this schema and the triggers.
CREATE SCHEMA IF NOT EXISTS portal_capture

-- name: queue
-- Which keys changed; a NULL key stands for the whole table. Writers only ever insert.
CREATE TABLE IF NOT EXISTS portal_capture.queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name text NOT NULL,
    key text[],
    tenant text,
    captured_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts integer NOT NULL DEFAULT 0,
    not_before timestamptz,
    error text
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0)

-- name: queue_2
-- Ids ignore the order of commits: the transaction says which entries were committed before a flip. Entries of version 1 have none.
ALTER TABLE portal_capture.queue ADD COLUMN IF NOT EXISTS xid xid8, ALTER COLUMN xid SET DEFAULT pg_current_xact_id();
CREATE INDEX IF NOT EXISTS queue_whole ON portal_capture.queue (table_name) WHERE key IS NULL

-- name: homes
-- Tenants whose home was decided; the guard refuses their writes where `here` is false.
CREATE TABLE IF NOT EXISTS portal_capture.homes (tenant text PRIMARY KEY, here boolean NOT NULL);
CREATE SEQUENCE IF NOT EXISTS portal_capture.last_flip MINVALUE 0

-- name: brake
-- Nothing bounds the queue while nobody reads it but this: past entry `upto` a transaction leaves one entry a table.
CREATE TABLE IF NOT EXISTS portal_capture.brake (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    upto bigint NOT NULL
);
INSERT INTO portal_capture.brake (upto) SELECT last_value + {most} FROM portal_capture.queue_id_seq ON CONFLICT DO NOTHING

-- name: whole
-- "Look at this whole table": for a change whose key cannot be recorded. An entry that is there already will do where
-- nobody can take it before we have committed (the lock), and not for a transaction that may read an old snapshot of it.
CREATE OR REPLACE FUNCTION portal_capture.whole(of_table text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    noted text := 'portal.whole_' || md5(of_table);
BEGIN
    IF coalesce(current_setting(noted, true), '') = pg_current_xact_id()::text THEN
        RETURN;
    END IF;
    IF current_setting('transaction_isolation') = 'read committed' THEN
        PERFORM FROM portal_capture.queue
        WHERE table_name = of_table AND key IS NULL AND attempts = 0 LIMIT 1 FOR SHARE SKIP LOCKED;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    INSERT INTO portal_capture.queue (table_name) VALUES (of_table);
    PERFORM set_config(noted, pg_current_xact_id()::text, true);
END $body$

-- name: owner
-- Which portal captures here, and how many times it has moved a tenant: a copy of it, or another, is told apart.
CREATE TABLE IF NOT EXISTS portal_capture.portal (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    portal uuid NOT NULL,
    epoch bigint NOT NULL
)

-- name: leaves_table
-- The partitions of each table when they were last looked at.
CREATE TABLE IF NOT EXISTS portal_capture.leaves (table_name text PRIMARY KEY, states text[] NOT NULL)

-- name: grants
-- Whoever may write to a watched table must be able to leave its key here, and nothing more.
GRANT USAGE ON SCHEMA portal_capture TO PUBLIC;
GRANT INSERT ON portal_capture.queue TO PUBLIC;
GRANT SELECT ON portal_capture.homes, portal_capture.brake TO PUBLIC;
GRANT EXECUTE ON FUNCTION portal_capture.whole(text) TO PUBLIC;
GRANT SELECT ON SEQUENCE portal_capture.queue_id_seq, portal_capture.last_flip TO PUBLIC

-- name: function
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql{settings} AS $body$
BEGIN
{records}
    RETURN NULL;
END $body$

-- name: record
-- A row's key, and its key before where that was another: both are looked up again. What cannot be recorded, as after a
-- column was renamed, must not fail the write: then the whole table is looked at. A joined row may belong to none, or leave
-- parts of the key open: then it is about all rows with the others.
    <<recorded>>
    DECLARE
        old_key text[];
        old_tenant text;
        new_key text[];
        new_tenant text;
    BEGIN
        BEGIN
            IF TG_OP <> 'INSERT' THEN
                old_key := {old};
                old_tenant := {old_tenant};
            END IF;
            IF TG_OP <> 'DELETE' THEN
                new_key := {new};
                new_tenant := {new_tenant};
            END IF;
        EXCEPTION WHEN OTHERS THEN
            PERFORM portal_capture.whole({name});
            EXIT recorded;
        END;
        IF (SELECT s.last_value >= b.upto FROM portal_capture.queue_id_seq AS s, portal_capture.brake AS b) THEN
            PERFORM portal_capture.whole({name});
            EXIT recorded;
        END IF;
        IF TG_OP <> 'DELETE' AND cardinality(array_positions(new_key, NULL)) = {open} THEN
            INSERT INTO portal_capture.queue (table_name, key, tenant) VALUES ({name}, new_key, new_tenant);
        END IF;
        IF (TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND (old_key IS DISTINCT FROM new_key OR old_tenant IS DISTINCT FROM new_tenant))
           AND cardinality(array_positions(old_key, NULL)) = {open}
        THEN
            INSERT INTO portal_capture.queue (table_name, key, tenant) VALUES ({name}, old_key, old_tenant);
        END IF;
    END recorded;

-- name: truncated
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    INSERT INTO portal_capture.queue (table_name) SELECT unnest({names}::text[]);
    RETURN NULL;
END $body$

-- name: trigger
CREATE TRIGGER portal_capture AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW
WHEN (coalesce(current_setting('portal.applying', true), '') <> 'on') EXECUTE FUNCTION {function}()

-- name: truncate_trigger
CREATE TRIGGER portal_capture_truncate AFTER TRUNCATE ON {table} FOR EACH STATEMENT
WHEN (coalesce(current_setting('portal.applying', true), '') <> 'on') EXECUTE FUNCTION {function}()

-- name: watched
-- Tables with our triggers, which of them fire always, and what they call.
SELECT c.relname AS table_name, t.tgname AS trigger, t.tgenabled = 'A' AS always, p.proname AS function
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_proc AS p ON p.oid = t.tgfoid
WHERE n.nspname = %(schema)s AND t.tgparentid = 0 AND t.tgname IN ('portal_capture', 'portal_capture_truncate', 'portal_guard', 'portal_guard_truncate')

-- name: children
SELECT i.inhrelid::regclass::text AS child FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = %(table)s::regclass AND NOT c.relispartition ORDER BY 1

-- name: reads_unnamed
-- And foreign tables, a join of which the server's own plan does not name.
WITH RECURSIVE read (oid, kind) AS (
    SELECT 'pg_temp.portal_reads'::regclass::oid, 'v'::"char"
    UNION
    SELECT c.oid, c.relkind
    FROM read
    JOIN pg_rewrite AS r ON r.ev_class = read.oid AND read.kind = 'v'
    JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class AS c ON c.oid = d.refobjid AND c.relkind IN ('v', 'p', 'f')
)
SELECT n.nspname AS schema, c.relname AS name FROM read
JOIN pg_class AS c ON c.oid = read.oid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE read.kind <> 'v'

-- name: roots
-- The tables that these are partitions of, or are.
SELECT DISTINCT n.nspname::text AS schema, c.relname::text AS name FROM unnest(%(tables)s::regclass[]) AS t(oid)
JOIN pg_class AS c ON c.oid = coalesce(pg_partition_root(t.oid), t.oid)
JOIN pg_namespace AS n ON n.oid = c.relnamespace

-- name: leaves
-- A partition that was detached and attached again has another entry in pg_inherits.
SELECT format('%%s %%s', i.inhrelid::oid, i.xmin) AS state, n.nspname AS schema_name, c.relname AS leaf
FROM pg_partition_tree(%(table)s::regclass) AS p JOIN pg_class AS c ON c.oid = p.relid JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_inherits AS i ON i.inhrelid = p.relid
WHERE p.level > 0 ORDER BY 1

-- name: first_leaves
INSERT INTO portal_capture.leaves (table_name, states) VALUES (%(name)s, %(states)s::text[]) ON CONFLICT (table_name) DO NOTHING

-- name: same_leaves
SELECT 1 FROM portal_capture.leaves WHERE table_name = %(name)s AND states = %(states)s::text[]

-- name: remember_leaves
UPDATE portal_capture.leaves SET states = %(states)s::text[] WHERE table_name = %(name)s
