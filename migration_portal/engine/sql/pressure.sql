-- name: signs
-- The oldest transaction of a client that is not ours, and the slowest replica, in seconds.
SELECT
    (SELECT extract(epoch FROM max(clock_timestamp() - xact_start)) FROM pg_stat_activity
     WHERE backend_type = 'client backend' AND datname = current_database()
       AND application_name NOT LIKE 'sigma-transit%'),
    (SELECT extract(epoch FROM max(replay_lag)) FROM pg_stat_replication)
