-- name: database
-- One row about the database we are connected to: what an operator looks at first when it is slow.
SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())::float8 AS sessions,
       (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active')::float8 AS active,
       (SELECT count(*) FROM pg_locks WHERE NOT granted)::float8 AS waiting_locks,
       (SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0) FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend')::float8 AS longest_transaction_s,
       (SELECT coalesce(100.0 * blks_hit / nullif(blks_hit + blks_read, 0), 100) FROM pg_stat_database
        WHERE datname = current_database())::float8 AS cache_hits_percent,
       (SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables)::float8 AS dead_rows,
       (SELECT coalesce(max(extract(epoch FROM replay_lag)), 0) FROM pg_stat_replication)::float8 AS replication_lag_s,
       pg_database_size(current_database())::float8 AS bytes

-- name: slow_statements
-- Where the extension is there: what took the most time, without the values that were bound.
SELECT left(query, 200) AS statement, calls, round(mean_exec_time::numeric, 2) AS milliseconds
FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY total_exec_time DESC LIMIT 10
