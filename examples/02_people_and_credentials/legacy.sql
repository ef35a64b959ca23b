-- People and their credentials in two tables.
CREATE TABLE orgs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), code text NOT NULL UNIQUE, title text NOT NULL);
CREATE TABLE people (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org uuid NOT NULL REFERENCES orgs,
    login text NOT NULL UNIQUE,
    mail text,
    active boolean NOT NULL DEFAULT true
);
CREATE TABLE credentials (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person uuid NOT NULL UNIQUE REFERENCES people ON DELETE CASCADE,
    hash text NOT NULL,
    totp text,
    changed timestamptz NOT NULL DEFAULT now()
);
