-- Rows that were born here and have come back to a legacy that counts: which number it gave each.
CREATE TABLE IF NOT EXISTS portal_ledger.portal_numbers (
    portal_of text NOT NULL,
    portal_uuid uuid NOT NULL,
    portal_number bigint NOT NULL,
    PRIMARY KEY (portal_of, portal_uuid),
    UNIQUE (portal_of, portal_number)
);
