-- name: add
-- A step's chunks are added in one transaction, once: repeating it changes nothing.
INSERT INTO portal_ledger.chunks
    (run, step, step_order, ordinal, kind, table_name, lower, upper, spec, rows_planned)
VALUES
    (%(run)s, %(step)s, %(step_order)s, %(ordinal)s, %(kind)s, %(table_name)s,
     %(lower)s, %(upper)s, %(spec)s, %(rows_planned)s)
ON CONFLICT (run, step, ordinal) DO NOTHING

-- name: claim
-- A claimed chunk is free again when its lease is over, unless its worker is still inside the
-- chunk's transaction: that holds the row's lock, and SKIP LOCKED passes by.
UPDATE portal_ledger.chunks
SET state = 'claimed', attempt = attempt + 1, worker = %(worker)s, backend = pg_backend_pid(),
    lease_until = clock_timestamp() + make_interval(secs => %(lease)s),
    started_at = clock_timestamp(), finished_at = NULL, error = ''
WHERE id = (
    SELECT id FROM portal_ledger.chunks
    WHERE run = %(run)s AND not_before <= clock_timestamp()
      AND (state = 'waiting' OR (state = 'claimed' AND lease_until < clock_timestamp()))
    ORDER BY step_order, ordinal
    LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, step, step_order, ordinal, kind, table_name, lower, upper, spec, rows_planned, attempt, failures

-- name: at_work
SELECT count(*) FROM portal_ledger.chunks
WHERE run = %(run)s AND state = 'claimed' AND lease_until >= clock_timestamp()

-- name: neighbours
-- The waiting chunks right behind this one, to be merged with it.
SELECT id, lower, upper, rows_planned FROM portal_ledger.chunks
WHERE run = %(run)s AND step = %(step)s AND ordinal > %(ordinal)s AND ordinal <= %(ordinal)s + %(most)s
  AND state = 'waiting' AND attempt = 0
ORDER BY ordinal
FOR UPDATE SKIP LOCKED

-- name: absorb
WITH gone AS (DELETE FROM portal_ledger.chunks WHERE id = ANY(%(absorbed)s))
UPDATE portal_ledger.chunks SET upper = %(upper)s, rows_planned = %(rows_planned)s WHERE id = %(id)s

-- name: fence
-- Taken first in the chunk's transaction and held to its end. No row: somebody else has the chunk now.
SELECT 1 FROM portal_ledger.chunks
WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'claimed'
FOR UPDATE

-- name: done
UPDATE portal_ledger.chunks
SET state = 'done', finished_at = clock_timestamp(), lease_until = NULL,
    rows_read = %(read)s, rows_written = %(written)s, rows_quarantined = %(quarantined)s
WHERE id = %(id)s

-- name: failed
-- A passing fault is tried again a little later; what goes on failing waits for the operator.
UPDATE portal_ledger.chunks
SET failures = failures + %(count)s, error = %(error)s, finished_at = clock_timestamp(), lease_until = NULL,
    state = CASE WHEN failures + %(count)s >= %(most)s THEN 'failed' ELSE 'waiting' END,
    not_before = clock_timestamp() + make_interval(secs => %(delay)s)
WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'claimed'

-- name: give_up
-- A chunk whose worker died again and again is likely what kills it.
UPDATE portal_ledger.chunks
SET state = 'failed', lease_until = NULL, finished_at = clock_timestamp(),
    error = format('Its worker died %%s times.', attempt - attempts_before)
WHERE id IN (
    SELECT id FROM portal_ledger.chunks
    WHERE run = %(run)s AND state = 'claimed' AND lease_until < clock_timestamp() AND attempt - attempts_before >= %(most)s
    FOR UPDATE SKIP LOCKED
)

-- name: retry_failed
UPDATE portal_ledger.chunks
SET state = 'waiting', failures = 0, attempts_before = attempt, not_before = '-infinity', error = ''
WHERE run = %(run)s AND state = 'failed'

-- name: release
-- Nobody is inside the transaction (SKIP LOCKED): the lease alone need not be waited for.
UPDATE portal_ledger.chunks SET state = 'waiting', lease_until = NULL
WHERE id IN (
    SELECT id FROM portal_ledger.chunks WHERE run = %(run)s AND state = 'claimed' FOR UPDATE SKIP LOCKED
)

-- name: terminate
-- Force: cut the sessions that hold this run's chunks.
SELECT pg_terminate_backend(l.pid)
FROM pg_locks AS l
JOIN portal_ledger.chunks AS c ON c.backend = l.pid AND c.run = %(run)s AND c.state = 'claimed'
WHERE l.relation = 'portal_ledger.chunks'::regclass AND l.mode = 'RowShareLock' AND l.pid <> pg_backend_pid()

-- name: counts
SELECT step, count(*) AS chunks,
       count(*) FILTER (WHERE state = 'waiting') AS waiting,
       count(*) FILTER (WHERE state = 'claimed') AS claimed,
       count(*) FILTER (WHERE state = 'done') AS done,
       count(*) FILTER (WHERE state = 'failed') AS failed
FROM portal_ledger.chunks WHERE run = %(run)s GROUP BY step

-- name: speed
-- Rows a second of one worker over the last chunks of this step, to size the next.
SELECT sum(rows_read) / greatest(sum(extract(epoch FROM finished_at - started_at)), 0.001)
FROM (
    SELECT rows_read, started_at, finished_at FROM portal_ledger.chunks
    WHERE run = %(run)s AND step = %(step)s AND state = 'done'
    ORDER BY finished_at DESC LIMIT 4
) AS latest

-- name: commit
INSERT INTO portal_ledger.commits (run, table_name, xid)
VALUES (%(run)s, %(table)s, pg_current_xact_id()::xid)

-- name: step_finished
SELECT NOT EXISTS (SELECT FROM portal_ledger.chunks WHERE run = %(run)s AND step = %(step)s AND state <> 'done')
