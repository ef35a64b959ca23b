-- name: latency
-- Median and 95th percentile of each quarter of a minute, with calls and failures.
SELECT extract(epoch FROM date_bin('15 seconds', at, %(since)s) - %(since)s)::float8,
       percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY milliseconds), count(*), count(*) FILTER (WHERE status >= 500)
FROM legacy_compat_legacyrequest
WHERE at >= %(since)s AND (%(home)s = '' OR home = %(home)s)
GROUP BY 1 ORDER BY 1
