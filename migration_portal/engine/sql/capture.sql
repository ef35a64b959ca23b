-- name: schema
-- Everything of ours in a database that is not ours: removing it is dropping this schema and the triggers.
CREATE SCHEMA IF NOT EXISTS portal_capture

-- name: queue
-- Which keys changed; a NULL key stands for the whole table (TRUNCATE). Writers only ever insert.
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

-- name: homes
-- Tenants whose home was decided; the guard refuses their writes where `here` is false.
CREATE TABLE IF NOT EXISTS portal_capture.homes (tenant text PRIMARY KEY, here boolean NOT NULL)

-- name: grants
-- Whoever may write to a watched table must be able to leave its key here, and nothing more.
GRANT USAGE ON SCHEMA portal_capture TO PUBLIC;
GRANT INSERT ON portal_capture.queue TO PUBLIC;
GRANT SELECT ON portal_capture.homes TO PUBLIC

-- name: function
-- A row's key, and its key before where that was another: both are looked up again.
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO portal_capture.queue (table_name, key, tenant) VALUES ({name}, {old}, {old_tenant});
        RETURN NULL;
    END IF;
    INSERT INTO portal_capture.queue (table_name, key, tenant) VALUES ({name}, {new}, {new_tenant});
    IF TG_OP = 'UPDATE' AND ({old} IS DISTINCT FROM {new} OR {old_tenant} IS DISTINCT FROM {new_tenant}) THEN
        INSERT INTO portal_capture.queue (table_name, key, tenant) VALUES ({name}, {old}, {old_tenant});
    END IF;
    RETURN NULL;
END $body$

-- name: truncated
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    INSERT INTO portal_capture.queue (table_name) VALUES ({name});
    RETURN NULL;
END $body$

-- name: trigger
CREATE TRIGGER portal_capture AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW
WHEN (coalesce(current_setting('portal.applying', true), '') <> 'on') EXECUTE FUNCTION {function}()

-- name: truncate_trigger
CREATE TRIGGER portal_capture_truncate AFTER TRUNCATE ON {table} FOR EACH STATEMENT
WHEN (coalesce(current_setting('portal.applying', true), '') <> 'on') EXECUTE FUNCTION {function}()

-- name: guard
-- Refuses writes for tenants that live on the other side. The shared lock is what a cut-over waits for, and what
-- writers wait on while it holds the tenant; reading `homes` afterwards sees what was decided meanwhile.
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    mine text;
BEGIN
    FOREACH mine IN ARRAY CASE TG_OP
        WHEN 'INSERT' THEN ARRAY[{new_tenant}]
        WHEN 'DELETE' THEN ARRAY[{old_tenant}]
        ELSE CASE WHEN {old_tenant} IS DISTINCT FROM {new_tenant}
                  THEN ARRAY[{old_tenant}, {new_tenant}] ELSE ARRAY[{new_tenant}] END
        END
    LOOP
        CONTINUE WHEN mine IS NULL;
        PERFORM pg_advisory_xact_lock_shared({lock_class}, hashtext(mine) & {lock_mask});
        IF NOT coalesce((SELECT here FROM portal_capture.homes WHERE tenant = mine), {by_default}) THEN
            RAISE EXCEPTION 'Tenant % is at home on the other system: write there.', mine
                USING ERRCODE = 'PT403', HINT = 'Sigma Transit moved this tenant; ask its operators.';
        END IF;
    END LOOP;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $body$

-- name: guard_trigger
CREATE TRIGGER portal_guard BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW
WHEN (coalesce(current_setting('portal.applying', true), '') <> 'on') EXECUTE FUNCTION {function}()

-- name: watched
-- Tables with our triggers, and which of them fire always.
SELECT c.relname AS table_name, t.tgname AS trigger, t.tgenabled = 'A' AS always
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND t.tgname IN ('portal_capture', 'portal_capture_truncate', 'portal_guard')

-- name: lag
SELECT count(*) AS entries, count(*) FILTER (WHERE attempts > 0) AS retrying,
       coalesce(extract(epoch FROM clock_timestamp() - min(captured_at)), 0)::float8 AS seconds,
       max(id) AS last
FROM portal_capture.queue

-- name: tenants_waiting
SELECT tenant, count(*) AS entries FROM portal_capture.queue WHERE tenant IS NOT NULL GROUP BY tenant

-- name: next
-- The oldest entries first; those that failed before wait for their turn, one at a time.
SELECT id, table_name, key, tenant, attempts FROM portal_capture.queue
WHERE attempts = 0 AND (%(tenant)s::text IS NULL OR tenant = %(tenant)s) AND (%(upto)s::bigint IS NULL OR id <= %(upto)s)
ORDER BY id LIMIT %(most)s

-- name: next_again
SELECT id, table_name, key, tenant, attempts FROM portal_capture.queue
WHERE attempts > 0 AND not_before <= clock_timestamp()
  AND (%(tenant)s::text IS NULL OR tenant = %(tenant)s) AND (%(upto)s::bigint IS NULL OR id <= %(upto)s)
ORDER BY attempts, id LIMIT %(most)s

-- name: waiting
-- Which of these keys wait; compared as text, because PostgreSQL has no ragged arrays.
SELECT DISTINCT key FROM portal_capture.queue WHERE table_name = %(table)s AND key::text = ANY({keys})

-- name: settled
DELETE FROM portal_capture.queue WHERE id = ANY(%(ids)s)

-- name: again
UPDATE portal_capture.queue
SET attempts = attempts + 1, error = %(error)s,
    not_before = clock_timestamp() + least(60, 0.1 * 3 ^ least(attempts, 8)) * interval '1 second'
WHERE id = ANY(%(ids)s)
RETURNING attempts

-- name: enqueue
INSERT INTO portal_capture.queue (table_name, key, tenant) VALUES (%(table)s, %(key)s, %(tenant)s)

-- name: compact
-- Of several entries for one key the newest says all there is to say.
DELETE FROM portal_capture.queue AS q
USING (SELECT table_name, key, max(id) AS newest FROM portal_capture.queue
       WHERE key IS NOT NULL AND attempts = 0 GROUP BY table_name, key HAVING count(*) > 1) AS d
WHERE q.table_name = d.table_name AND q.key = d.key AND q.id < d.newest AND q.attempts = 0

-- name: enqueue_tenant
INSERT INTO portal_capture.queue (table_name, key, tenant)
SELECT {name}, {key}, {tenant} FROM {table} WHERE {column} = {tenant}

-- name: fresh_upto
-- Whether anything captured up to an entry still waits for its first attempt.
SELECT EXISTS (SELECT FROM portal_capture.queue WHERE id <= %(last)s AND attempts = 0)

-- name: captured_keys
SELECT DISTINCT key FROM portal_capture.queue WHERE table_name = %(table)s AND key IS NOT NULL
