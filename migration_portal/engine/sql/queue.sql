-- name: lag
SELECT count(*) AS entries, count(*) FILTER (WHERE attempts > 0) AS retrying,
       coalesce(extract(epoch FROM clock_timestamp() - min(captured_at)), 0)::float8 AS seconds,
       max(id) AS last
FROM portal_capture.queue

-- name: tenants_waiting
SELECT tenant, count(*) AS entries FROM portal_capture.queue WHERE tenant IS NOT NULL GROUP BY tenant

-- name: whose
SELECT lower(tenant) FROM portal_capture.queue LIMIT %(most)s

-- name: next
-- The oldest entries first; those that failed before wait for their turn.
SELECT id, table_name, key, tenant, attempts, xid::text::bigint AS xid FROM portal_capture.queue
WHERE attempts = 0 AND (%(tenant)s::text IS NULL OR lower(tenant) = lower(%(tenant)s) OR tenant IS NULL) AND (%(upto)s::bigint IS NULL OR id <= %(upto)s)
ORDER BY id LIMIT %(most)s

-- name: next_again
SELECT id, table_name, key, tenant, attempts, xid::text::bigint AS xid FROM portal_capture.queue
WHERE attempts > 0 AND not_before <= clock_timestamp()
  AND (%(tenant)s::text IS NULL OR lower(tenant) = lower(%(tenant)s) OR tenant IS NULL) AND (%(upto)s::bigint IS NULL OR id <= %(upto)s)
ORDER BY attempts, id LIMIT %(most)s

-- name: waiting
-- Which of these keys wait, those that leave parts open, and NULL where the whole table does; compared as text, because
-- PostgreSQL has no ragged arrays.
SELECT DISTINCT key FROM portal_capture.queue
WHERE table_name = {table} AND (key IS NULL OR array_position(key, NULL) IS NOT NULL OR key::text = ANY({keys}))

-- name: whole_waits
SELECT EXISTS (SELECT FROM portal_capture.queue WHERE table_name = %(table)s AND key IS NULL)

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
-- Of several entries for one key the newest says all there is to say. Not for tenants that have left: there each entry
-- tells whether it was written before.
DELETE FROM portal_capture.queue AS q
USING (SELECT table_name, key, tenant, max(id) AS newest FROM portal_capture.queue
       WHERE key IS NOT NULL AND attempts = 0 AND (tenant IS NULL OR lower(tenant) <> ALL(%(left)s))
       GROUP BY table_name, key, tenant HAVING count(*) > 1) AS d
WHERE q.table_name = d.table_name AND q.key = d.key AND q.tenant IS NOT DISTINCT FROM d.tenant
  AND q.id < d.newest AND q.attempts = 0

-- name: enqueue_tenant
INSERT INTO portal_capture.queue (table_name, key, tenant)
SELECT {name}, {key}, {tenant} FROM {table} WHERE {where}

-- name: fresh_upto
-- Whether anything captured up to an entry still waits for its first attempt.
SELECT EXISTS (SELECT FROM portal_capture.queue WHERE id <= %(last)s AND attempts = 0)

-- name: captured_keys
-- NULL for the whole table.
SELECT DISTINCT key FROM portal_capture.queue WHERE table_name = %(table)s

-- name: whole
-- A writer that relies on this entry holds it: what it changed is not there to be read yet.
SELECT id FROM portal_capture.queue WHERE id = %(id)s FOR UPDATE SKIP LOCKED

-- name: limit
-- From which entry on the triggers record whole tables instead of keys.
UPDATE portal_capture.brake
SET upto = (SELECT last_value FROM portal_capture.queue_id_seq) + greatest(%(most)s - %(waiting)s, 0)
WHERE abs(upto - (SELECT last_value FROM portal_capture.queue_id_seq) - greatest(%(most)s - %(waiting)s, 0)) > %(most)s / 10

-- name: follow_parents
-- Of a row that is gone nobody knows whose it would be: it may concern anybody. One that has been tried is told, and holds up its own tenant alone.
UPDATE portal_capture.queue AS u SET tenant = came.whose
FROM (SELECT q.id, of_row.whose FROM portal_capture.queue AS q CROSS JOIN LATERAL (SELECT {whose} AS whose) AS of_row
      WHERE q.table_name = {name} AND q.key IS NOT NULL AND lower(q.tenant) <> lower({tenant})
        AND (of_row.whose IS NULL AND q.attempts = 0 OR lower(of_row.whose) = lower({tenant}))) AS came
WHERE u.id = came.id

-- name: of_tenant
-- What waits for a tenant, or for whoever it may concern, and what is committed by now: one snapshot says both.
SELECT (SELECT count(*) FROM portal_capture.queue WHERE lower(tenant) = lower(%(tenant)s) OR tenant IS NULL) AS waiting,
       pg_current_snapshot()::text AS snapshot,
       coalesce(pg_sequence_last_value('portal_capture.queue_id_seq'), 0) AS last

-- name: due_now
-- What waits to be tried again, of a tenant or of all, need not wait any longer.
UPDATE portal_capture.queue SET not_before = now()
WHERE not_before > now() AND (%(tenant)s::text IS NULL OR lower(tenant) = lower(%(tenant)s) OR tenant IS NULL)
