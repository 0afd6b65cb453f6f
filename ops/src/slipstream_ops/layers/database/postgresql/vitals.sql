-- The database's numbers as one JSON text; read by parse(). Works on PostgreSQL 14 and later.
\set QUIET on
-- Checkpoints moved to a view of their own with version 17.
SELECT current_setting('server_version_num')::int >= 170000 AS has_checkpointer \gset
\if :has_checkpointer
SELECT num_timed AS checkpoints_timed, num_requested AS checkpoints_requested FROM pg_stat_checkpointer \gset
\else
SELECT checkpoints_timed, checkpoints_req AS checkpoints_requested FROM pg_stat_bgwriter \gset
\endif
SELECT json_build_object(
    'connections', sessions.all_of_them,
    'connections_max', current_setting('max_connections')::int,
    'connections_active', sessions.active,
    'idle_in_transaction', sessions.idle_in_transaction,
    'oldest_transaction_seconds', sessions.oldest_transaction_seconds,
    'longest_query_seconds', sessions.longest_query_seconds,
    'blocked', sessions.blocked,
    'cache_hit_ratio', site.blks_hit::float / nullif(site.blks_hit + site.blks_read, 0),
    'size_bytes', pg_database_size(site.datid),
    'commits', site.xact_commit,
    'rollbacks', site.xact_rollback,
    'deadlocks', site.deadlocks,
    'temporary_files', site.temp_files,
    'temporary_bytes', site.temp_bytes,
    'wal_bytes', (SELECT wal_bytes FROM pg_stat_wal),
    'checkpoints_timed', :checkpoints_timed,
    'checkpoints_requested', :checkpoints_requested,
    'uptime_seconds', extract(epoch FROM now() - pg_postmaster_start_time())
)
FROM pg_stat_database AS site,
(
    SELECT
        count(*) AS all_of_them,
        count(*) FILTER (WHERE state = 'active') AS active,
        count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction,
        extract(epoch FROM now() - min(xact_start)) AS oldest_transaction_seconds,
        extract(epoch FROM now() - min(query_start) FILTER (WHERE state = 'active')) AS longest_query_seconds,
        count(*) FILTER (WHERE wait_event_type = 'Lock') AS blocked
    FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
) AS sessions
WHERE site.datname = current_database();
