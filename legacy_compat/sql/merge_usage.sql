INSERT INTO legacy_compat_usage AS u (day, client, version, endpoint, calls, failures, last_at)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (day, client, version, endpoint) DO UPDATE
SET calls = u.calls + excluded.calls, failures = u.failures + excluded.failures, last_at = excluded.last_at
