-- name: guard_after
-- Refuses writes for tenants that live on the other side. The shared lock is what a cut-over waits for, and what
-- writers wait on while it holds the tenant; reading `homes` afterwards sees what was decided meanwhile. A transaction
-- that reads an older snapshot does not see it: it is told to start again.
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql{settings} AS $body$
DECLARE
    mine text;
    tenants text[];
BEGIN
    BEGIN
        tenants := CASE TG_OP
            WHEN 'INSERT' THEN ARRAY[{new_tenants}]
            WHEN 'DELETE' THEN ARRAY[{old_tenants}]
            ELSE CASE WHEN ARRAY[{old_tenants}] IS DISTINCT FROM ARRAY[{new_tenants}]
                      THEN ARRAY[{old_tenants}, {new_tenants}] ELSE ARRAY[{new_tenants}] END
            END;
    EXCEPTION WHEN OTHERS THEN
        -- A renamed column, or a value that says nothing, must not fail the write; capture records the whole table. But whose
        -- the row was still counts.
        BEGIN
            tenants := CASE WHEN TG_OP <> 'INSERT' THEN ARRAY[{old_tenants}] END;
        EXCEPTION WHEN OTHERS THEN
            RETURN NULL;
        END;
    END;
    FOREACH mine IN ARRAY coalesce(tenants, ARRAY[]::text[]) LOOP
        CONTINUE WHEN mine IS NULL;
        mine := lower(mine);  -- legacy writes an id in more ways than one
        PERFORM pg_advisory_xact_lock_shared({lock_class}, hashtext(mine) & {lock_mask});
        IF pg_catalog.current_setting('transaction_isolation') IN ('repeatable read', 'serializable')
           AND NOT pg_visible_in_snapshot((SELECT last_value FROM portal_capture.last_flip)::text::xid8, pg_current_snapshot())
        THEN
            RAISE EXCEPTION 'A tenant was moved since this transaction began.'
                USING ERRCODE = '40001', HINT = 'Start the transaction again.';
        END IF;
        IF NOT coalesce((SELECT here FROM portal_capture.homes WHERE tenant = mine), {by_default}) THEN
            RAISE EXCEPTION 'Tenant % is at home on the other system: write there.', mine
                USING ERRCODE = 'PT403', HINT = 'Sigma Transit moved this tenant; ask its operators.';
        END IF;
    END LOOP;
    RETURN NULL;
END $body$

-- name: guard_truncate
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF NOT {by_default} OR EXISTS (SELECT FROM portal_capture.homes WHERE NOT here) THEN
        RAISE EXCEPTION 'Some tenants in % are at home on the other system: delete rows of the others instead.', TG_TABLE_NAME
            USING ERRCODE = 'PT403', HINT = 'Sigma Transit moved these tenants; ask its operators.';
    END IF;
    RETURN NULL;
END $body$

-- name: guard_trigger
-- After the row: what the application's own triggers make of it is what counts.
CREATE TRIGGER portal_guard AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW
WHEN (coalesce(current_setting('portal.applying', true), '') <> 'on') EXECUTE FUNCTION {function}()

-- name: guard_truncate_trigger
CREATE TRIGGER portal_guard_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT
WHEN (coalesce(current_setting('portal.applying', true), '') <> 'on') EXECUTE FUNCTION {function}()

-- name: set_home
-- The sequence is read by transactions whatever their snapshot.
WITH changed AS (
    INSERT INTO portal_capture.homes (tenant, here) VALUES (lower(%(tenant)s), %(here)s)
    ON CONFLICT (tenant) DO UPDATE SET here = excluded.here WHERE homes.here <> excluded.here RETURNING 1
)
SELECT setval('portal_capture.last_flip', pg_current_xact_id()::text::bigint) FROM changed

-- name: writers
-- Sessions that may have written to these tables and have not ended, prepared transactions included (they have no pid).
SELECT l.virtualtransaction AS transaction, l.pid, coalesce(a.usename, '') AS role, coalesce(a.application_name, '') AS application,
       coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8 AS seconds
FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.mode = ANY(%(modes)s)
  AND l.pid IS DISTINCT FROM pg_backend_pid() AND NOT coalesce(l.pid = ANY(%(ours)s), false)
  AND l.relation IN (SELECT w.relid FROM unnest(%(tables)s::regclass[]) AS w(relid)
                     UNION SELECT p.relid FROM unnest(%(tables)s::regclass[]) AS t(relid), pg_partition_tree(t.relid) AS p)
