-- name: table
CREATE TABLE IF NOT EXISTS portal_capture.portal_numbers (
    portal_of text NOT NULL,
    portal_uuid uuid NOT NULL,
    portal_number bigint NOT NULL,
    PRIMARY KEY (portal_of, portal_uuid),
    UNIQUE (portal_of, portal_number)
)

-- name: unnumbered
-- Rows of the IAM whose UUID stands for no number, and that were given none yet. By the key's index: all others begin alike.
SELECT t.{key} FROM {table} AS t
WHERE (t.{key} < {first} OR t.{key} > {last})
  AND NOT EXISTS (SELECT FROM portal_ledger.portal_numbers AS g WHERE g.portal_of = {name} AND g.portal_uuid = t.{key})
ORDER BY t.{key} LIMIT {most}

-- name: sequence
SELECT pg_get_serial_sequence(%(table)s, %(column)s)

-- name: give
INSERT INTO portal_capture.portal_numbers (portal_of, portal_uuid, portal_number)
SELECT %(of)s, uuid, nextval(%(sequence)s::regclass) FROM unnest(%(uuids)s::uuid[]) AS uuid
WHERE NOT EXISTS (SELECT FROM portal_capture.portal_numbers WHERE portal_of = %(of)s AND portal_uuid = uuid)
ON CONFLICT DO NOTHING

-- name: given
SELECT portal_uuid, portal_number FROM portal_capture.portal_numbers WHERE portal_of = %(of)s AND portal_uuid = ANY(%(uuids)s::uuid[])

-- name: known
SELECT portal_of, portal_uuid, portal_number FROM portal_ledger.portal_numbers WHERE portal_of = ANY(%(of)s)

-- name: note
INSERT INTO {numbers} (portal_of, portal_uuid, portal_number)
SELECT * FROM unnest(%(of)s::text[], %(uuids)s::uuid[], %(numbers)s::bigint[]) ON CONFLICT DO NOTHING
