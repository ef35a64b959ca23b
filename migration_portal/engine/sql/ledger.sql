-- name: version
SELECT to_regnamespace('portal_ledger') IS NOT NULL, obj_description(to_regnamespace('portal_ledger'), 'pg_namespace')
