-- name: by_target_key
SELECT {source_key}, ARRAY[{mapped}], row_to_json({name})::text FROM {table} WHERE {where}

-- name: rows
SELECT {key}, row_to_json({name})::text FROM {table} WHERE {where}

-- name: whose
-- Whose each of these rows is; NULL for a row that is gone.
SELECT {whose} FROM unnest({written}::text[]) WITH ORDINALITY AS rows(written, place)
CROSS JOIN LATERAL json_populate_record(NULL::{table}, rows.written::json) AS {name} ORDER BY place

-- name: page
SELECT {key} FROM {table} WHERE {where} ORDER BY {order} LIMIT {most}

-- name: keys
SELECT {key} FROM {table} WHERE {where}

-- name: target_keys
-- What the key of a row would be in the target, for rows that may be gone.
SELECT {owner}, {key} FROM unnest({values}) AS portal_keys({names}), LATERAL (SELECT {typed}) AS {alias} WHERE NOT {rejected} AND {certain}
