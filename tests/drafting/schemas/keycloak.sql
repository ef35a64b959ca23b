CREATE TABLE realm (id varchar(36) PRIMARY KEY, name varchar(255) UNIQUE, enabled boolean NOT NULL DEFAULT false);
CREATE TABLE user_entity (id varchar(36) PRIMARY KEY, email varchar(255), email_constraint varchar(255), email_verified boolean NOT NULL DEFAULT false, enabled boolean NOT NULL DEFAULT false, federation_link varchar(255), first_name varchar(255), last_name varchar(255), realm_id varchar(255), username varchar(255), created_timestamp bigint, service_account_client_link varchar(255), not_before int NOT NULL DEFAULT 0, UNIQUE (realm_id, email_constraint), UNIQUE (realm_id, username));
CREATE TABLE credential (id varchar(36) PRIMARY KEY, salt bytea, type varchar(255), user_id varchar(36) REFERENCES user_entity, created_date bigint, user_label varchar(255), secret_data text, credential_data text, priority int);
CREATE TABLE user_attribute (id varchar(36) PRIMARY KEY, name varchar(255) NOT NULL, value varchar(255), user_id varchar(36) NOT NULL REFERENCES user_entity);
CREATE TABLE keycloak_role (id varchar(36) PRIMARY KEY, client_realm_constraint varchar(255), client_role boolean NOT NULL DEFAULT false, description varchar(255), name varchar(255), realm_id varchar(255), client varchar(36), realm varchar(36) REFERENCES realm);
CREATE TABLE user_role_mapping (role_id varchar(255) NOT NULL, user_id varchar(36) NOT NULL REFERENCES user_entity, PRIMARY KEY (role_id, user_id));
INSERT INTO realm SELECT gen_random_uuid()::text, 'realm' || n, true FROM generate_series(1, 3) n;
INSERT INTO user_entity (id, email, email_constraint, email_verified, enabled, first_name, last_name, realm_id, username, created_timestamp)
SELECT gen_random_uuid()::text, 'u' || n || '@example.org', 'u' || n || '@example.org', true, true, 'Ann', 'Lee', (SELECT id FROM realm ORDER BY id LIMIT 1 OFFSET n % 3), 'u' || n, 1600000000000 + n FROM generate_series(1, 300) n;
INSERT INTO credential (id, type, user_id, created_date, secret_data, credential_data, priority)
SELECT gen_random_uuid()::text, 'password', id, 1600000000000, '{"value":"' || replace(encode(sha512(id::bytea), 'base64'), E'\n', '') || '","salt":"AAECAwQFBgcICQoLDA0ODw==","additionalParameters":{}}', '{"hashIterations":27500,"algorithm":"pbkdf2-sha256","additionalParameters":{}}', 10 FROM user_entity;
INSERT INTO user_attribute SELECT gen_random_uuid()::text, 'phone', '+49 30 ' || n, id FROM (SELECT id, row_number() OVER () + 100000 AS n FROM user_entity) s;
INSERT INTO user_attribute SELECT gen_random_uuid()::text, 'locale', 'de', id FROM user_entity;
INSERT INTO keycloak_role (id, name, realm_id, realm) SELECT gen_random_uuid()::text, 'admin', id, id FROM realm;
INSERT INTO user_role_mapping SELECT r.id, u.id FROM user_entity u JOIN keycloak_role r USING (realm_id);
