-- The password of everybody is sample-password-0.
INSERT INTO auth_group (name) VALUES ('editors'), ('readers');
INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
SELECT 'pbkdf2_sha256$30000$sample$BjsCbrpD6YndsmDAomoy+iOsrk9wEv7plW8LRiQ05vU=', n = 1, 'user' || n, 'Ann', 'Lee ' || n, 'user' || n || '@example.org', n <= 5, true, now()
FROM generate_series(1, 500) AS n;
INSERT INTO auth_user_groups (user_id, group_id) SELECT n, 1 + n % 2 FROM generate_series(1, 500) AS n;
