-- The database's numbers as one JSON text; read by parse(). Works on MariaDB 10.6 and later.
SELECT JSON_OBJECT(
    'connections', sessions.all_of_them,
    'connections_max', @@GLOBAL.max_connections,
    'connections_active', sessions.active,
    'idle_in_transaction', (
        SELECT COUNT(*) FROM information_schema.INNODB_TRX AS trx
        JOIN information_schema.PROCESSLIST AS session ON session.ID = trx.trx_mysql_thread_id
        WHERE session.COMMAND = 'Sleep'
    ),
    'oldest_transaction_seconds', (SELECT MAX(TIMESTAMPDIFF(MICROSECOND, trx_started, NOW(6))) / 1e6 FROM information_schema.INNODB_TRX),
    'longest_query_seconds', sessions.longest_query_seconds,
    'blocked', (SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'),
    'cache_hit_ratio', 1 - counters.page_reads / NULLIF(counters.page_requests, 0),
    'size_bytes', (
        SELECT COALESCE(SUM(FILE_SIZE), 0) FROM information_schema.INNODB_SYS_TABLESPACES WHERE NAME LIKE 'site/%'
    ),
    -- Statements outside a transaction count as one each, readers too.
    'commits', counters.commits,
    'rollbacks', counters.rollbacks,
    'deadlocks', counters.deadlocks,
    'temporary_files', counters.temporary_tables_on_disk,
    'temporary_bytes', NULL,
    'wal_bytes', counters.log_bytes,
    'checkpoints_timed', NULL,
    'checkpoints_requested', NULL,
    'uptime_seconds', counters.uptime
)
FROM (
    SELECT
        COUNT(*) AS all_of_them,
        COALESCE(SUM(COMMAND IN ('Query', 'Execute')), 0) AS active,
        MAX(IF(COMMAND IN ('Query', 'Execute'), TIME_MS, NULL)) / 1000 AS longest_query_seconds
    FROM information_schema.PROCESSLIST
    WHERE ID <> CONNECTION_ID() AND COMMAND NOT IN ('Daemon', 'Connect')
) AS sessions,
(
    SELECT
        MAX(IF(VARIABLE_NAME = 'INNODB_BUFFER_POOL_READS', CAST(VARIABLE_VALUE AS UNSIGNED), NULL)) AS page_reads,
        MAX(IF(VARIABLE_NAME = 'INNODB_BUFFER_POOL_READ_REQUESTS', CAST(VARIABLE_VALUE AS UNSIGNED), NULL)) AS page_requests,
        MAX(IF(VARIABLE_NAME = 'HANDLER_COMMIT', CAST(VARIABLE_VALUE AS UNSIGNED), NULL)) AS commits,
        MAX(IF(VARIABLE_NAME = 'HANDLER_ROLLBACK', CAST(VARIABLE_VALUE AS UNSIGNED), NULL)) AS rollbacks,
        MAX(IF(VARIABLE_NAME = 'INNODB_DEADLOCKS', CAST(VARIABLE_VALUE AS UNSIGNED), NULL)) AS deadlocks,
        MAX(IF(VARIABLE_NAME = 'CREATED_TMP_DISK_TABLES', CAST(VARIABLE_VALUE AS UNSIGNED), NULL)) AS temporary_tables_on_disk,
        MAX(IF(VARIABLE_NAME = 'INNODB_OS_LOG_WRITTEN', CAST(VARIABLE_VALUE AS UNSIGNED), NULL)) AS log_bytes,
        MAX(IF(VARIABLE_NAME = 'UPTIME', CAST(VARIABLE_VALUE AS UNSIGNED), NULL)) AS uptime
    FROM information_schema.GLOBAL_STATUS
) AS counters;
