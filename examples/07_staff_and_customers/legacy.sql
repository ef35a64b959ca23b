-- People in two tables, and a view that says what they have in common.
CREATE TABLE firms (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), code text NOT NULL UNIQUE, title text NOT NULL);
CREATE TABLE staff (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    firm uuid NOT NULL REFERENCES firms,
    login text NOT NULL UNIQUE,
    mail text,
    password text NOT NULL,
    active boolean NOT NULL DEFAULT true,
    desk text
);
CREATE TABLE customers (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    firm uuid NOT NULL REFERENCES firms,
    mail text NOT NULL UNIQUE,
    password text NOT NULL,
    blocked boolean NOT NULL DEFAULT false,
    since timestamptz NOT NULL DEFAULT now()
);
CREATE VIEW everybody AS
SELECT id, firm, login, mail, password, active, true AS works_here FROM staff
UNION ALL
SELECT id, firm, mail, mail, password, NOT blocked, false FROM customers;
