-- name: copied
-- Building constraints takes rows away again (settling), so its counts belong here.
SELECT table_name, sum(rows_read) FILTER (WHERE kind = 'copy')::bigint AS source, sum(rows_written)::bigint AS written,
       extract(epoch FROM max(finished_at) - min(started_at))::float8 AS seconds
FROM portal_ledger.chunks
WHERE run = %(run)s AND kind IN ('copy', 'index', 'constraint') AND state = 'done'
GROUP BY table_name

-- name: quarantined
SELECT table_name, reason, state, count(*) AS count FROM portal_ledger.quarantine
WHERE run = %(run)s GROUP BY table_name, reason, state

-- name: verified
-- Of a run with capture: legacy rows that verification read (those in quarantine left out), and rows it found missing in the IAM.
SELECT s.table_name, sum(count)::bigint AS legacy,
       (SELECT count(*) FROM portal_ledger.findings AS f
        WHERE f.run = %(run)s AND f.verification = %(verification)s AND f.table_name = s.table_name AND f.kind = 'missing') AS missing
FROM portal_ledger.sums AS s, unnest(s.counts) AS count
WHERE s.run = %(run)s AND s.verification = %(verification)s AND s.side = 'legacy'
  AND EXISTS (SELECT FROM portal_ledger.chunks AS c WHERE c.run = s.run AND c.kind = 'compare' AND c.state = 'done'
              AND c.step = format('compare:%%s:%%s', s.table_name, s.verification))
  AND EXISTS (SELECT FROM portal_ledger.chunks AS c WHERE c.run = s.run AND c.kind = 'capture')
GROUP BY s.table_name

-- name: mismatched
SELECT table_name,
       count(DISTINCT key) FILTER (WHERE kind <> 'more')
         + coalesce(sum(legacy_value::bigint) FILTER (WHERE kind = 'more'), 0)::bigint AS count
FROM portal_ledger.findings
WHERE run = %(run)s AND verification = %(verification)s GROUP BY table_name

-- name: checks
SELECT name, severity, summary, advice, details FROM portal_ledger.checks
WHERE run = %(run)s AND verification = %(verification)s
ORDER BY array_position(ARRAY['error', 'warning', 'ok'], severity), name

-- name: left
SELECT table_name, count(*) AS count FROM portal_ledger.left_in_place WHERE run = %(run)s GROUP BY table_name

-- name: clock
SELECT extract(epoch FROM max(finished_at) - min(started_at))::float8 AS seconds
FROM portal_ledger.chunks WHERE run = %(run)s

-- name: progress
-- Per table, what the run page shows. Rows copied per second over the last ten seconds.
SELECT table_name,
       count(*) FILTER (WHERE state = 'done') AS done,
       count(*) AS chunks,
       sum(rows_planned) FILTER (WHERE kind = 'copy') AS planned,
       sum(rows_read) FILTER (WHERE kind = 'copy') AS read,
       sum(rows_planned) FILTER (WHERE kind = 'copy' AND state = 'done') AS planned_done,
       sum(rows_read) FILTER (WHERE kind = 'copy' AND state = 'done' AND finished_at > now() - interval '10 s') AS recent,
       count(*) FILTER (WHERE state = 'failed') AS failed
FROM portal_ledger.chunks WHERE run = %(run)s AND table_name <> '' GROUP BY table_name

-- name: throughput
-- Rows copied in each second, for the chart: a chunk's rows are spread over the seconds it took.
SELECT extract(epoch FROM second - min(second) OVER ())::int AS second, sum(rate)::bigint AS rows
FROM (
    SELECT generate_series(date_trunc('second', started_at), date_trunc('second', finished_at), interval '1 s') AS second,
           rows_read / (1 + floor(extract(epoch FROM date_trunc('second', finished_at) - date_trunc('second', started_at)))) AS rate
    FROM portal_ledger.chunks WHERE run = %(run)s AND kind = 'copy' AND state = 'done'
) AS spread
GROUP BY second ORDER BY second

-- name: steps
SELECT step, min(step_order) AS step_order, min(kind) AS kind, min(table_name) AS table_name,
       count(*) AS chunks, count(*) FILTER (WHERE state = 'done') AS done,
       count(*) FILTER (WHERE state = 'claimed') AS claimed, count(*) FILTER (WHERE state = 'failed') AS failed,
       min(started_at) AS started_at, max(finished_at) AS finished_at, sum(attempt) AS attempts
FROM portal_ledger.chunks WHERE run = %(run)s GROUP BY step ORDER BY 2

-- name: works
-- What each step of some runs took so far, in seconds of workers; the latest last.
SELECT run, step, split_part(step, ':', 1) AS kind, table_name AS "table", count(*) AS chunks,
       count(*) FILTER (WHERE state = 'done') AS done, sum(rows_planned)::bigint AS planned,
       coalesce(sum(rows_planned) FILTER (WHERE state = 'done'), 0)::bigint AS planned_done,
       coalesce(sum(extract(epoch FROM finished_at - started_at)) FILTER (WHERE state = 'done'), 0)::float8 AS seconds,
       coalesce(sum(extract(epoch FROM clock_timestamp() - started_at)) FILTER (WHERE state = 'claimed'), 0)::float8 AS running
FROM portal_ledger.chunks WHERE run = ANY(%(runs)s) GROUP BY run, step, table_name ORDER BY max(id)

-- name: at_once
-- How many chunks were at work on average, pauses of more than a second left out.
WITH worked AS (
    SELECT started_at AS since, greatest(started_at, CASE state WHEN 'done' THEN finished_at ELSE clock_timestamp() END) AS until
    FROM portal_ledger.chunks WHERE run = %(run)s AND state IN ('done', 'claimed') AND started_at IS NOT NULL
)
SELECT coalesce(
    (SELECT sum(extract(epoch FROM until - since)) FROM worked)
    / (SELECT sum(extract(epoch FROM upper(span) - lower(span)))
       FROM unnest((SELECT range_agg(tstzrange(since, until + interval '1 s')) FROM worked)) AS span), 1)::float8

-- name: unattended
-- Seconds since work was last taken up or ended; 0 while some is under way, or waits to be tried again.
SELECT CASE WHEN bool_or(state = 'claimed' AND lease_until > clock_timestamp() OR not_before > clock_timestamp()) THEN 0
            ELSE extract(epoch FROM clock_timestamp() - max(greatest(started_at, finished_at))) END::float8
FROM portal_ledger.chunks WHERE run = %(run)s
