-- The password of everybody is sample-password-0.
INSERT INTO orgs (code, title) SELECT 'org' || n, 'Organization ' || n FROM generate_series(1, 10) AS n;
INSERT INTO people (org, login, mail)
SELECT o.id, o.code || '-' || n, o.code || '-' || n || '@example.org' FROM orgs AS o, generate_series(1, 50) AS n;
INSERT INTO credentials (person, hash) SELECT id, '$2b$12$0e3E0ptYxfgP3Z/KEh.A/uWkKqkTzVGT94Qk738noXsW7POyFOdLu' FROM people;
