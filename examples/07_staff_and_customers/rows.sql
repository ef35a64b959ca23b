-- The password of everybody is sample-password-0.
INSERT INTO firms (code, title) SELECT 'firm' || n, 'Firm ' || n FROM generate_series(1, 5) AS n;
INSERT INTO staff (firm, login, mail, password, desk)
SELECT f.id, f.code || '-' || n, f.code || '-' || n || '@example.org', '$2b$12$0e3E0ptYxfgP3Z/KEh.A/uWkKqkTzVGT94Qk738noXsW7POyFOdLu',
       'desk ' || n FROM firms AS f, generate_series(1, 20) AS n;
INSERT INTO customers (firm, mail, password, blocked)
SELECT f.id, f.code || '-' || n || '@customer.example.org', '$2b$12$0e3E0ptYxfgP3Z/KEh.A/uWkKqkTzVGT94Qk738noXsW7POyFOdLu',
       n % 10 = 0 FROM firms AS f, generate_series(1, 100) AS n;
