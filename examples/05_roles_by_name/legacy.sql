-- Companies, their people, and what these may do, as words.
CREATE TABLE companies (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title varchar(200) NOT NULL,
    short varchar(50) NOT NULL UNIQUE
);
CREATE TABLE accounts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    company uuid NOT NULL REFERENCES companies (id),
    login varchar(100) NOT NULL,
    mail varchar(254) NOT NULL,
    hash varchar(200),
    active boolean NOT NULL DEFAULT true,
    created timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE account_roles (
    account uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    role varchar(20) NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, role)
);
