-- name: incarnation
SELECT concat_ws(' ', s.system_identifier, c.timeline_id, pg_postmaster_start_time())
FROM pg_control_system() AS s, pg_control_checkpoint() AS c

-- name: started
SELECT pg_postmaster_start_time()::text
