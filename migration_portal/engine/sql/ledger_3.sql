-- Attempts only grow, so that a lease is never valid again; a retry notes how many there were.
ALTER TABLE portal_ledger.chunks ADD COLUMN IF NOT EXISTS attempts_before integer NOT NULL DEFAULT 0;

-- Which portal works here, and how many times it has moved a tenant.
CREATE TABLE IF NOT EXISTS portal_ledger.portal (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    portal uuid NOT NULL,
    epoch bigint NOT NULL
);

-- Rows that were there before the run and that catch-up removed: undo puts them back.
ALTER TABLE portal_ledger.overwritten ADD COLUMN IF NOT EXISTS removed boolean NOT NULL DEFAULT false;
