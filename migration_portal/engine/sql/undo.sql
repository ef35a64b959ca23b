-- name: remember
-- What was there before each row that the run is about to change or add; NULL where there was none.
INSERT INTO portal_ledger.overwritten (run, table_name, key, before)
SELECT {run}, {name}, {key}, CASE WHEN t.xmin IS NOT NULL THEN row_to_json(t) END
FROM {stage} AS s LEFT JOIN {target} AS t ON {same}
WHERE t.xmin IS NULL OR ({differs} AND t.xmin::text <> ALL({ours}))
ON CONFLICT DO NOTHING

-- name: remember_added
INSERT INTO portal_ledger.overwritten (run, table_name, key) VALUES (%(run)s, %(table)s, %(key)s) ON CONFLICT DO NOTHING

-- name: remember_removed
-- What was there before each row that catch-up is about to remove; the first image counts.
INSERT INTO portal_ledger.overwritten AS o (run, table_name, key, before, removed)
SELECT {run}, {name}, {key}, row_to_json(t), true FROM {target} AS t
WHERE {leaving} AND (t.xmin::text <> ALL({ours}) OR {was_there})
ON CONFLICT (run, table_name, key) DO UPDATE SET removed = true WHERE o.before IS NOT NULL

-- name: columns
SELECT attname FROM pg_attribute
WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum

-- name: put_back
-- Rows that catch-up removed; not one whose parent is gone by now.
WITH missing AS (
    SELECT o.key, b.* FROM portal_ledger.overwritten AS o, json_populate_record(NULL::{target}, o.before) AS b
    WHERE o.run = {run} AND o.table_name = {name} AND o.removed AND o.before IS NOT NULL
      AND NOT EXISTS (SELECT FROM {target} AS t WHERE {key} = o.key)
), added AS (
    INSERT INTO {target} ({columns}) OVERRIDING SYSTEM VALUE
    SELECT {columns} FROM missing AS s WHERE NOT ({orphan}) ON CONFLICT DO NOTHING
)
INSERT INTO portal_ledger.left_in_place (run, table_name, key, reason)
SELECT {run}, {name}, s.key, 'not put back: what it refers to is gone' FROM missing AS s WHERE {orphan}
ON CONFLICT DO NOTHING

-- name: restore
-- Images go back where nobody has edited the row since, and are forgotten.
WITH restored AS (
    UPDATE {target} AS t SET {assignments}
    FROM portal_ledger.overwritten AS o, json_populate_record(NULL::{target}, o.before) AS b
    WHERE o.run = {run} AND o.table_name = {name} AND o.before IS NOT NULL AND o.key = {key} AND t.xmin::text = ANY({ours})
    RETURNING o.key
)
DELETE FROM portal_ledger.overwritten
WHERE run = {run} AND table_name = {name} AND key IN (SELECT key FROM restored)

-- name: was_there
EXISTS (SELECT FROM portal_ledger.overwritten AS o
        WHERE o.run = {run} AND o.table_name = {name} AND o.key = {key} AND o.before IS NOT NULL)

-- name: remove
DELETE FROM {target} AS t WHERE {blocks} AND t.xmin::text = ANY({ours}) AND NOT {was_there}{unreferenced}

-- name: remove_together
-- Of rows that refer to each other: not those that one which stays refers to, by whatever rows between.
WITH RECURSIVE going AS MATERIALIZED (
    SELECT t.* FROM {target} AS t WHERE t.xmin::text = ANY({ours}) AND NOT {was_there}{unreferenced}
), kept ({key}) AS (
    SELECT {of_parent} FROM going AS p JOIN {target} AS c ON {refers}
    WHERE NOT EXISTS (SELECT FROM going AS g WHERE {itself})
    UNION
    SELECT {of_parent} FROM kept AS k JOIN {target} AS c ON {known} JOIN going AS p ON {refers}
)
DELETE FROM {target} AS t USING going AS g
WHERE {same} AND NOT EXISTS (SELECT FROM kept AS k WHERE {stays})

-- name: touched
EXISTS (SELECT FROM portal_ledger.overwritten AS o WHERE o.run = {run} AND o.table_name = {name} AND o.key = {key})

-- name: report_left
INSERT INTO portal_ledger.left_in_place (run, table_name, key, reason)
SELECT {run}, {name}, {key}, CASE WHEN t.xmin::text = ANY({ours}) THEN 'still referred to' ELSE 'edited since' END
FROM {target} AS t WHERE {touched}
ON CONFLICT DO NOTHING

-- name: discard_quarantine
UPDATE portal_ledger.quarantine SET state = 'discarded', decided_at = now(), decided_by = 'undo'
WHERE run = %(run)s AND table_name = %(table)s AND state = 'open'
