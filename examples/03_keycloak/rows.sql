-- The password of everybody is sample-password-0, by PBKDF2 as Keycloak stores it.
INSERT INTO realm SELECT gen_random_uuid()::text, 'realm' || n, true FROM generate_series(1, 5) AS n;
INSERT INTO user_entity (id, realm_id, username, email, email_constraint, email_verified, enabled, first_name, last_name, created_timestamp)
SELECT gen_random_uuid()::text, r.id, r.name || '-' || n, r.name || '-' || n || '@example.org', r.name || '-' || n || '@example.org',
       n % 2 = 0, true, 'Ann', 'Lee ' || n, 1600000000000 + n
FROM realm AS r, generate_series(1, 100) AS n;
INSERT INTO credential (id, user_id, type, secret_data, credential_data, created_date, priority)
SELECT gen_random_uuid()::text, id, 'password',
       '{"value": "RsdPFqYfubbD+x9lB+J22i9eCZY2brGw4flIgwYVFNe/VV600iiN90RZimweqkHVoPfSx2AiHV3Wq5VkIaudGw==", "salt": "AAECAwQFBgcICQoLDA0ODw==", "additionalParameters": {}}',
       '{"hashIterations": 27500, "algorithm": "pbkdf2-sha256", "additionalParameters": {}}', 1600000000000, 10
FROM user_entity;
INSERT INTO user_attribute SELECT gen_random_uuid()::text, id, 'phone', '+49 30 ' || 100000 + row_number() OVER () FROM user_entity;
INSERT INTO user_attribute SELECT gen_random_uuid()::text, id, 'locale', 'de' FROM user_entity;
INSERT INTO keycloak_role (id, name, realm_id, realm)
SELECT gen_random_uuid()::text, role, id, id FROM realm, unnest('{admin,member}'::text[]) AS role;
INSERT INTO user_role_mapping SELECT r.id, u.id FROM user_entity AS u JOIN keycloak_role AS r USING (realm_id) WHERE r.name = 'member';
