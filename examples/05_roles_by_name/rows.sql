-- The password of everybody is sample-password-0.
INSERT INTO companies (title, short) SELECT 'Company ' || n, 'company' || n FROM generate_series(1, 10) AS n;
INSERT INTO accounts (company, login, mail, hash)
SELECT c.id, c.short || '-' || n, c.short || '-' || n || '@example.org',
       '$2b$12$0e3E0ptYxfgP3Z/KEh.A/uWkKqkTzVGT94Qk738noXsW7POyFOdLu'
FROM companies AS c, generate_series(1, 50) AS n;
INSERT INTO account_roles (account, role) SELECT id, 'member' FROM accounts;
INSERT INTO account_roles (account, role) SELECT id, 'administrator' FROM accounts WHERE login LIKE '%-1';
-- A word that the IAM has no role for: kept back until somebody adds one.
INSERT INTO account_roles (account, role) SELECT id, 'auditor' FROM accounts WHERE login = 'company1-2';
