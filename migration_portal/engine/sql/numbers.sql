-- name: table
-- `portal_written`: the row has come back under this number. Until then the number means what legacy has under it.
CREATE TABLE IF NOT EXISTS portal_capture.portal_numbers (
    portal_of text NOT NULL,
    portal_uuid uuid NOT NULL,
    portal_number bigint NOT NULL,
    portal_written boolean NOT NULL DEFAULT false,
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
-- The sequence that owns the column, and whether we may use it.
SELECT sequence, sequence IS NOT NULL AND has_sequence_privilege(sequence, 'USAGE')
FROM pg_get_serial_sequence(%(table)s, %(column)s) AS sequence

-- name: taken
-- Numbers that were given, and that legacy has used for a row of its own before ours came.
SELECT g.portal_uuid FROM portal_capture.portal_numbers AS g
WHERE g.portal_of = {name} AND NOT g.portal_written AND EXISTS (SELECT FROM {table} AS t WHERE t.{key} = g.portal_number)

-- name: take_back
DELETE FROM {numbers} WHERE portal_of = %(of)s AND portal_uuid = ANY(%(uuids)s::uuid[])

-- name: free
-- A sequence may be behind its table: numbers that are there are nobody else's.
SELECT n FROM (SELECT nextval({sequence}::regclass) AS n FROM generate_series(1, {most}::int)) AS c
WHERE NOT EXISTS (SELECT FROM {table} AS t WHERE t.{key} = c.n)
  AND NOT EXISTS (SELECT FROM portal_capture.portal_numbers AS g WHERE g.portal_of = {name} AND g.portal_number = c.n)

-- name: given
SELECT portal_uuid, portal_number FROM portal_capture.portal_numbers WHERE portal_of = %(of)s AND portal_uuid = ANY(%(uuids)s::uuid[])

-- name: written
UPDATE portal_capture.portal_numbers AS g SET portal_written = true
WHERE g.portal_of = {name} AND NOT g.portal_written AND EXISTS (SELECT FROM {table} AS t WHERE t.{key} = g.portal_number)

-- name: known
SELECT portal_of, portal_uuid, portal_number FROM portal_ledger.portal_numbers WHERE portal_of = ANY(%(of)s)

-- name: note
INSERT INTO {numbers} (portal_of, portal_uuid, portal_number)
SELECT * FROM unnest(%(of)s::text[], %(uuids)s::uuid[], %(numbers)s::bigint[]) ON CONFLICT DO NOTHING

-- name: pass
-- A restored sequence gives out again what it gave since: it is passed by, which takes no more than the right to use it.
SELECT count(nextval(%(sequence)s::regclass))
FROM generate_series(1, %(most)s - coalesce(pg_sequence_last_value(%(sequence)s::regclass), 0))
