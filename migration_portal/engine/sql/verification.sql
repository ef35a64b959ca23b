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

-- name: found
INSERT INTO portal_ledger.findings
    (run, verification, table_name, kind, key, field, legacy_value, iam_value, severity)
VALUES (%(run)s, %(verification)s, %(table)s, %(kind)s, %(key)s, %(field)s, %(legacy)s, %(iam)s, %(severity)s)
