-- The password of everybody is sample-password-0.
INSERT INTO auth_user (username, email, password, full_name, is_superuser)
SELECT 'user' || n, 'user' || n || '@example.org', '$2b$12$0e3E0ptYxfgP3Z/KEh.A/uWkKqkTzVGT94Qk738noXsW7POyFOdLu', 'User ' || n, n = 1
FROM generate_series(1, 500) AS n;
