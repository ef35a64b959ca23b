-- name: create
CREATE TEMP TABLE portal_stage (
    LIKE {target} INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING IDENTITY,
    portal_source_key text[],
    portal_ordinal bigint GENERATED ALWAYS AS IDENTITY
) ON COMMIT DROP

-- name: twice
s.portal_ordinal IN (
    SELECT portal_ordinal
    FROM (SELECT portal_ordinal, row_number() OVER (PARTITION BY {columns} ORDER BY portal_source_key) AS n
          FROM {stage} WHERE {set}) AS numbered
    WHERE n > 1)

-- name: ordinals
SELECT coalesce(min(portal_ordinal), 0), coalesce(max(portal_ordinal), -1) + 1 FROM {stage}

-- name: upsert
INSERT INTO {target} AS t ({names}) OVERRIDING SYSTEM VALUE
SELECT {names} FROM {stage} WHERE portal_ordinal >= {first} AND portal_ordinal < {end}
ON CONFLICT ({key}) DO {action}

-- name: commits
-- The transactions (savepoints have ids of their own) that wrote the staged rows.
INSERT INTO portal_ledger.commits (run, table_name, xid)
SELECT DISTINCT {run}::uuid, {name}, t.xmin FROM {target} AS t JOIN {stage} AS s ON {same}
WHERE age(t.xmin) <= age(pg_current_xact_id()::xid)
