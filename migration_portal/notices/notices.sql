-- name: size
-- Who was never given a role has the default one, as iam/permissions.py has it.
SELECT count(*) FROM users AS u JOIN tenants AS t ON t.id = u.tenant_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN count(*) = 0 THEN ARRAY[CASE WHEN u.is_superuser THEN 'admin' ELSE 'user' END]
                ELSE array_agg(r.name::text) FILTER (WHERE ur.expires_at IS NULL OR ur.expires_at > now()) END AS names
    FROM user_roles AS ur JOIN roles AS r ON r.id = ur.role_id WHERE ur.user_id = u.id AND %(role)s::text IS NOT NULL) AS roles
WHERE u.is_active AND t.is_active AND u.email LIKE '%%_@_%%'
  AND (%(tenants)s::uuid[] IS NULL OR u.tenant_id = ANY(%(tenants)s::uuid[]))
  AND (%(role)s::text IS NULL OR %(role)s = ANY(roles.names))
  AND (%(readable)s::text IS NULL OR u.hashed_password !~ %(readable)s)

-- name: people
SELECT u.id AS user, u.email, coalesce(u.full_name, u.username, '') AS name, t.id::text AS tenant,
       coalesce(u.preferred_language, 'en') AS language
FROM users AS u JOIN tenants AS t ON t.id = u.tenant_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN count(*) = 0 THEN ARRAY[CASE WHEN u.is_superuser THEN 'admin' ELSE 'user' END]
                ELSE array_agg(r.name::text) FILTER (WHERE ur.expires_at IS NULL OR ur.expires_at > now()) END AS names
    FROM user_roles AS ur JOIN roles AS r ON r.id = ur.role_id WHERE ur.user_id = u.id AND %(role)s::text IS NOT NULL) AS roles
WHERE u.is_active AND t.is_active AND u.email LIKE '%%_@_%%' AND u.id > %(after)s::uuid
  AND (%(tenants)s::uuid[] IS NULL OR u.tenant_id = ANY(%(tenants)s::uuid[]))
  AND (%(role)s::text IS NULL OR %(role)s = ANY(roles.names))
  AND (%(readable)s::text IS NULL OR u.hashed_password !~ %(readable)s)
ORDER BY u.id LIMIT %(most)s

-- name: candidates
-- Some that may be claimed, oldest first.
SELECT id FROM notices_recipient
WHERE notice_id = %(notice)s AND state IN ('waiting', 'sending')
  AND ((state = 'waiting' AND next_at <= now())
       OR (state = 'sending' AND claimed_at < now() - make_interval(secs => %(lease)s)))
ORDER BY id LIMIT %(most)s

-- name: claim
-- One at a time, so that a worker that dies leaves one of which nobody knows whether it was sent: it is sent once more, and marked.
-- A worker holds the row's lock while it sends: SKIP LOCKED passes by, and a row that nobody holds is a dead worker's.
UPDATE notices_recipient SET state = 'sending', claimed_at = now(), attempts = attempts + 1,
    perhaps_twice = perhaps_twice OR state = 'sending'
WHERE id = (
    SELECT id FROM notices_recipient
    WHERE id = %(id)s AND ((state = 'waiting' AND next_at <= now())
                           OR (state = 'sending' AND claimed_at < now() - make_interval(secs => %(lease)s)))
    FOR UPDATE SKIP LOCKED
)
