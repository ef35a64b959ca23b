-- One word for one thing: constraints are suspended, rows are quarantined, stray writes are accepted or restored.
-- A process of version 0.1 that starts after the upgrade makes its own tables again, and signs the ledger as its own:
-- so all of this can be done twice.
DO $$ BEGIN
    IF to_regclass('portal_ledger.suspended') IS NULL THEN
        ALTER TABLE portal_ledger.set_aside RENAME TO suspended;
    ELSIF to_regclass('portal_ledger.set_aside') IS NOT NULL THEN
        INSERT INTO portal_ledger.suspended SELECT * FROM portal_ledger.set_aside ON CONFLICT DO NOTHING;
        DROP TABLE portal_ledger.set_aside;
    END IF;
END $$;

ALTER TABLE portal_ledger.strays DROP CONSTRAINT IF EXISTS strays_state_check;
UPDATE portal_ledger.strays SET state = CASE state WHEN 'taken' THEN 'accepted' WHEN 'dropped' THEN 'restored' ELSE state END;
ALTER TABLE portal_ledger.strays ADD CONSTRAINT strays_state_check CHECK (state IN ('open', 'accepted', 'restored'));

-- A chunk's kind is its step's kind; runs of version 0.1 that are under way go on in these words.
UPDATE portal_ledger.chunks
SET step = CASE split_part(step, ':', 1)
               WHEN 'foreign' THEN 'constraint' WHEN 'reindex' THEN 'rebuild_index' ELSE 'restore_constraint' END
           || substr(step, strpos(step, ':'))
WHERE split_part(step, ':', 1) IN ('foreign', 'reindex', 'reforeign');

UPDATE portal_ledger.chunks SET kind = split_part(step, ':', 1) WHERE kind IN ('build', 'adopt');
