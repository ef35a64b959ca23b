-- name: lock
-- One at a time, and it reads only once it has the lock: an older state never overwrites a newer one.
SELECT pg_advisory_xact_lock({lock_class}, {number})

-- name: stage
CREATE TEMP TABLE IF NOT EXISTS {stage} (LIKE {target} INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING IDENTITY, portal_source_key text[])
ON COMMIT DELETE ROWS

-- name: keys
CREATE TEMP TABLE IF NOT EXISTS {keys} ({columns}, portal_source_key text[]) ON COMMIT DELETE ROWS

-- name: written_elsewhere
-- Rows written on a side that does not own their tenant.
SELECT {key}, {tenant} FROM {table} WHERE ({where}) AND {kept} AND NOT {at_home}

-- name: find_groups
-- What keys that leave parts open stand for in the target, besides what the rows do that the source has.
WITH groups AS (DELETE FROM {keys} WHERE array_position(portal_source_key, NULL) IS NOT NULL RETURNING *)
INSERT INTO {keys} ({names}) {found}

-- name: found
SELECT {names} FROM groups AS k JOIN {target} AS t ON {group}
WHERE {open} AND {written}
  AND NOT EXISTS (SELECT FROM {keys} AS m WHERE array_position(m.portal_source_key, NULL) IS NULL AND {member})

-- name: written_by_us
EXISTS (SELECT FROM portal_ledger.commits AS c WHERE c.xid = t.xmin AND c.table_name = {target_name})

-- name: respell
-- A UUID that legacy has as text in another way of writing it keeps that way; two ways of writing one would be two rows.
UPDATE {stage} AS s SET {column} = p.{parent_column} FROM {parent} AS p
WHERE s.{column} COLLATE "C" ~* '^[{{(]?[0-9a-f]{{8}}(-?[0-9a-f]{{4}}){{3}}-?[0-9a-f]{{12}}[)}}]?$'
  AND p.{parent_column} IN (upper(s.{column}), lower(s.{column}), replace(upper(s.{column}), '-', ''),
                            replace(lower(s.{column}), '-', ''), '{{' || upper(s.{column}) || '}}', '{{' || lower(s.{column}) || '}}')
  AND p.{parent_column} <> s.{column} AND NOT (p.{parent_column} = ANY({kept}))
  AND NOT EXISTS (SELECT FROM {parent} AS q WHERE q.{parent_column} = s.{column} AND NOT (q.{parent_column} = ANY({kept})))

-- name: as_it_was
-- What the row has said already stays as it is written.
UPDATE {stage} AS s SET {column} = t.{column} FROM {target} AS t
WHERE {same} AND t.{column} <> s.{column} AND lower(translate(t.{column}, '{{}}-', '')) = lower(translate(s.{column}, '{{}}-', ''))

-- name: new_values
SELECT EXISTS (SELECT FROM {stage} AS s WHERE NOT EXISTS (SELECT FROM {target} AS t WHERE {same_key} AND {same}))

-- name: twice
-- Rows of the batch that want the same unique value: the first by key may have it.
DELETE FROM {stage} AS s WHERE s.ctid IN (
    SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY {columns} ORDER BY portal_source_key) AS n
                      FROM {stage} WHERE {set}) AS numbered WHERE n > 1)
RETURNING s.portal_source_key

-- name: ambiguous
-- Rows of a view that has their key more than once: nobody knows which of them is the row.
DELETE FROM {stage} AS s
WHERE portal_source_key IN (SELECT portal_source_key FROM {stage} GROUP BY portal_source_key HAVING count(*) > 1)
RETURNING portal_source_key

-- name: left_out
DELETE FROM {stage} AS s WHERE portal_source_key = {key}

-- name: withheld
DELETE FROM {stage} AS s WHERE portal_source_key::text = ANY({protected})

-- name: holders
-- Target rows outside the batch that hold a unique value wanted by a row inside: have they changed in the source, too?
SELECT DISTINCT {key} FROM {target} AS t JOIN {stage} AS s ON {same}
WHERE NOT ({same_key}) AND NOT EXISTS (SELECT FROM {keys} AS k WHERE {owned})

-- name: kept_by_another
-- Values that a row keeps that lets go of none: who wants one keeps its own, which another may want.
DELETE FROM {stage} AS s
WHERE EXISTS (SELECT FROM {target} AS t WHERE {same} AND NOT ({same_key}) AND NOT EXISTS (SELECT FROM {keys} AS k WHERE {owned}))
RETURNING s.portal_source_key

-- name: park
-- Rows of the batch that change or go let go of their unique values first: so two rows can swap theirs.
UPDATE {target} AS t SET {column} = {parked}
WHERE EXISTS (SELECT FROM {stage} AS s WHERE {same} AND NOT ({same_key}))
  AND EXISTS (SELECT FROM {keys} AS k WHERE {owned})
RETURNING {key}

-- name: goes_itself
EXISTS (SELECT FROM {keys} AS k WHERE {owned} AND NOT (k.portal_source_key::text = ANY({protected})))
AND NOT EXISTS (SELECT FROM {stage} AS s WHERE {same}) AND NOT ({key}::text = ANY({staying}))

-- name: stayed
SELECT {key} FROM {target} AS t JOIN {keys} AS k ON {owned} WHERE NOT EXISTS (SELECT FROM {stage} AS s WHERE {same})

-- name: still_there
-- Of these rows those that nothing was written over, and nobody removed.
SELECT {key} FROM (SELECT * FROM unnest({parked})) AS p ({names}) JOIN {target} AS t ON {those}
WHERE NOT EXISTS (SELECT FROM {stage} AS s WHERE {same})

-- name: leaving
DELETE FROM {stage} AS s WHERE EXISTS (SELECT FROM {parent_keys} AS k WHERE {owned}
                                       AND NOT (k.portal_source_key::text = ANY({protected})))
  AND NOT EXISTS (SELECT FROM {parent_stage} AS p WHERE {same})
RETURNING s.portal_source_key

-- name: orphans
DELETE FROM {stage} AS s WHERE {orphan} RETURNING s.portal_source_key

-- name: referred_to
DELETE FROM {stage} AS s USING {target} AS t
WHERE {same_key} AND ({same}) IS NOT TRUE AND EXISTS (SELECT FROM {child} AS c WHERE {joined} AND NOT {brought})
RETURNING s.portal_source_key

-- name: held_by_another
SELECT s.portal_source_key, {holder} FROM {stage} AS s JOIN {target} AS t ON {same} WHERE {holder} <> s.portal_source_key

-- name: gone_is_anothers
SELECT k.portal_source_key, max({holder}) FROM {keys} AS k JOIN {target} AS t ON {owned}
GROUP BY 1 HAVING bool_and({holder} <> k.portal_source_key)

-- name: staged_twice
-- Of several that would be one row the one that was not kept back before, else the last: of uuids, the one in lower case.
SELECT s.portal_source_key, max(o.portal_source_key)
FROM {stage} AS s JOIN {stage} AS o ON {same}
 AND (NOT o.portal_source_key::text = ANY({kept}), o.portal_source_key::text COLLATE "C")
   > (NOT s.portal_source_key::text = ANY({kept}), s.portal_source_key::text COLLATE "C")
GROUP BY 1

-- name: taken
-- Values that a row outside the batch keeps.
DELETE FROM {stage} AS s WHERE EXISTS (SELECT FROM {target} AS t WHERE {same} AND NOT ({same_key}))
RETURNING s.portal_source_key

-- name: upsert
INSERT INTO {target} AS t ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {stage} ON CONFLICT ({key}) DO {action}

-- name: delete
DELETE FROM {target} AS t USING {keys} AS k
WHERE {owned} AND NOT EXISTS (SELECT FROM {stage} AS s WHERE {same}) AND {mine}
  AND NOT (k.portal_source_key::text = ANY({protected}))
RETURNING k.portal_source_key

-- name: leaves
EXISTS (SELECT FROM {keys} AS k WHERE {owned} AND NOT (k.portal_source_key::text = ANY({protected})))
AND NOT EXISTS (SELECT FROM {stage} AS s WHERE {same}) AND {mine}

-- name: left
-- Rows that should have gone and are still there.
SELECT DISTINCT k.portal_source_key FROM {target} AS t JOIN {keys} AS k ON {owned}
WHERE NOT EXISTS (SELECT FROM {stage} AS s WHERE {same}) AND {mine} AND NOT (k.portal_source_key::text = ANY({protected}))

-- name: gone_elsewhere
-- Rows that are gone from a source that does not own them, and still live in the target.
SELECT k.portal_source_key, {tenant} FROM {target} AS t JOIN {keys} AS k ON {owned}
WHERE NOT ({mine}) AND NOT (k.portal_source_key::text = ANY({present}))

-- name: emptied
-- After a TRUNCATE: whatever the source has no row for goes.
DELETE FROM {target} AS t WHERE {mine} AND NOT EXISTS (SELECT FROM {stage} AS s WHERE {same})

-- name: unstaged
{mine} AND NOT EXISTS (SELECT FROM {stage} AS s WHERE {same})

-- name: emptied_left
SELECT {key} FROM {target} AS t WHERE {mine} AND NOT EXISTS (SELECT FROM {stage} AS s WHERE {same})

-- name: coming
-- Written on this side, and on its way to the other.
EXISTS (SELECT FROM portal_capture.queue AS q WHERE q.table_name = {table} AND (q.key IS NULL OR q.key = {key}))

-- name: coming_itself
EXISTS (SELECT FROM portal_capture.queue AS q WHERE q.table_name = {table} AND q.key = {key})

-- name: emptied_elsewhere
SELECT {key}, {tenant}, {target_key} FROM {target} AS t CROSS JOIN LATERAL (SELECT t.*) AS k
WHERE NOT ({mine}) AND NOT EXISTS (SELECT FROM {stage} AS s WHERE {same}) AND NOT {coming}

-- name: changed_elsewhere
SELECT s.portal_source_key, {tenant} FROM {target} AS t JOIN {stage} AS s ON {same} CROSS JOIN LATERAL (SELECT t.*) AS k
WHERE NOT ({mine}) AND {differs} AND NOT {coming}

-- name: added_elsewhere
SELECT s.portal_source_key, {own} FROM {stage} AS s CROSS JOIN LATERAL (SELECT s.*) AS k
WHERE NOT ({at_home}) AND NOT EXISTS (SELECT FROM {target} AS t WHERE {same}) AND NOT {coming}

-- name: owned_elsewhere
-- Staged rows whose place in the target is another owner's.
DELETE FROM {stage} AS s USING {target} AS t WHERE {same} AND NOT ({mine}) RETURNING s.portal_source_key, {tenant}

-- name: came
-- Quarantined rows that arrived after all.
UPDATE portal_ledger.quarantine SET state = 'copied', decided_at = now(), decided_by = 'catch-up'
WHERE run = %(run)s AND table_name = %(table)s AND state <> 'copied'
  AND source_key IN (SELECT portal_source_key FROM {stage})

-- name: quarantined
SELECT source_key FROM portal_ledger.quarantine WHERE run = %(run)s AND source_table = %(source)s AND state <> 'copied'

-- name: twins
-- Of a key of one column, those that were kept back because another row has their key in the IAM.
SELECT source_key[1] FROM portal_ledger.quarantine
WHERE run = %(run)s AND source_table = %(source)s AND state <> 'copied' AND reason = ANY(%(reasons)s) AND cardinality(source_key) = 1

-- name: brought
UPDATE portal_ledger.quarantine SET state = 'copied', decided_at = now(), decided_by = 'catch-up'
WHERE run = %(run)s AND source_table = %(source)s AND state <> 'copied' AND source_key = %(key)s

-- name: went
-- Quarantined rows that the source has no more: there is nothing left to decide.
DELETE FROM portal_ledger.quarantine
WHERE run = %(run)s AND source_table = %(source)s AND state <> 'copied' AND source_key = %(key)s

-- name: orphans_waiting
SELECT EXISTS (SELECT FROM portal_ledger.quarantine
               WHERE run = %(run)s AND state = 'open' AND (reason = %(reason)s OR reason = ANY(%(twins)s)))

-- name: waiting_for
-- Orphans whose parent has just arrived, however they write it, and what was kept back with one that has: by the columns that refer
-- to it, or by any where the plan makes more of them than a column is.
SELECT DISTINCT q.source_table, q.source_key FROM portal_ledger.quarantine AS q, jsonb_each_text(q.data) AS d
WHERE q.run = %(run)s AND q.state = 'open' AND (q.table_name = ANY(%(loosely)s) OR q.table_name || ' ' || d.key = ANY(%(refers)s))
  AND (q.reason = %(reason)s AND lower(translate(d.value, '{}-', '')) = ANY(%(alike)s)
       OR q.reason = ANY(%(twins)s) AND d.value = ANY(%(keys)s))

-- name: stray
INSERT INTO portal_ledger.strays (run, direction, table_name, key, tenant, what)
VALUES (%(run)s, %(direction)s, %(table)s, %(key)s, %(tenant)s, %(what)s)
ON CONFLICT (run, direction, table_name, key) DO UPDATE
SET tenant = excluded.tenant, what = excluded.what, seen_at = now(), state = 'open', decided_at = NULL, decided_by = ''

-- name: open_strays
SELECT key FROM portal_ledger.strays WHERE run = %(run)s AND direction = %(direction)s AND table_name = %(table)s AND state = 'open'

-- name: resolve_stray
UPDATE portal_ledger.strays SET state = %(state)s, decided_at = now(), decided_by = %(by)s WHERE id = %(id)s

-- name: share
INSERT INTO {target} ({names}) SELECT {names} FROM {stage} AS s
WHERE {keyed} AND NOT EXISTS (SELECT FROM {target} AS t WHERE {same}) AND NOT ({orphaned})
ON CONFLICT DO NOTHING
