-- name: sums
INSERT INTO portal_ledger.sums (run, verification, table_name, side, piece, buckets, counts, hashes)
VALUES (%(run)s, %(verification)s, %(table)s, %(side)s, %(piece)s, %(buckets)s, %(counts)s, %(hashes)s)
ON CONFLICT (run, verification, table_name, side, piece) DO UPDATE
SET buckets = excluded.buckets, counts = excluded.counts, hashes = excluded.hashes

-- name: differing
-- Buckets whose rows are not the same on both sides, by count or by content.
WITH added AS (
    SELECT side, bucket, sum(count) AS count, sum(hash) AS hash
    FROM portal_ledger.sums, unnest(buckets, counts, hashes) AS b(bucket, count, hash)
    WHERE run = %(run)s AND verification = %(verification)s AND table_name = %(table)s
    GROUP BY side, bucket
)
SELECT coalesce(l.bucket, i.bucket)
FROM (SELECT * FROM added WHERE side = 'legacy') AS l
FULL JOIN (SELECT * FROM added WHERE side = 'iam') AS i ON i.bucket = l.bucket
WHERE (l.count, l.hash) IS DISTINCT FROM (i.count, i.hash)

-- name: totals
SELECT side, sum(count)::bigint
FROM portal_ledger.sums, unnest(counts) AS count
WHERE run = %(run)s AND verification = %(verification)s AND table_name = %(table)s
GROUP BY side

-- name: forget
DELETE FROM portal_ledger.findings
WHERE run = %(run)s AND verification = %(verification)s AND table_name = %(table)s AND kind = ANY(%(kinds)s)

-- name: finding
INSERT INTO portal_ledger.findings
    (run, verification, table_name, kind, key, field, legacy_value, iam_value, severity)
VALUES (%(run)s, %(verification)s, %(table)s, %(kind)s, %(key)s, %(field)s, %(legacy)s, %(iam)s, %(severity)s)

-- name: probe
-- A row of every common type, hashed by the server's own function.
SELECT hash_record_extended(
    ROW('a'::text, 1, 2::bigint, true, 'epoch'::timestamptz, '00000000-0000-4000-8000-000000000001'::uuid,
        '{"a": [1, null]}'::jsonb, 1.5::numeric, '2000-01-01'::date), 0)

-- name: sum_piece
-- Per bucket of one piece: how many rows, and the sum of their hashes. OFFSET 0 keeps each row from being hashed twice.
SELECT coalesce(array_agg(bucket), '{{}}'), coalesce(array_agg(count), '{{}}'), coalesce(array_agg(hash), '{{}}')
FROM (SELECT {bucket} AS bucket, count(*) AS count, sum(hash) AS hash
      FROM (SELECT {hash} AS hash FROM ({rows}) AS mapped OFFSET 0) AS hashed GROUP BY 1) AS sums

-- name: keyed_hashes
SELECT key, hash FROM (SELECT {key} AS key, {hash} AS hash FROM ({rows}) AS mapped OFFSET 0) AS hashed
WHERE {bucket} = ANY({buckets})

-- name: fields
SELECT {key}, ARRAY[{values}] FROM ({rows}) AS mapped WHERE {wanted}
