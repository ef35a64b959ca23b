CREATE TABLE auth_group (id serial PRIMARY KEY, name varchar(150) NOT NULL UNIQUE);
CREATE TABLE auth_permission (id serial PRIMARY KEY, name varchar(255) NOT NULL, content_type_id integer NOT NULL, codename varchar(100) NOT NULL, UNIQUE (content_type_id, codename));
CREATE TABLE auth_group_permissions (id bigserial PRIMARY KEY, group_id integer NOT NULL REFERENCES auth_group, permission_id integer NOT NULL REFERENCES auth_permission, UNIQUE (group_id, permission_id));
CREATE TABLE auth_user (id serial PRIMARY KEY, password varchar(128) NOT NULL, last_login timestamptz, is_superuser boolean NOT NULL, username varchar(150) NOT NULL UNIQUE, first_name varchar(150) NOT NULL, last_name varchar(150) NOT NULL, email varchar(254) NOT NULL, is_staff boolean NOT NULL, is_active boolean NOT NULL, date_joined timestamptz NOT NULL);
CREATE TABLE auth_user_groups (id bigserial PRIMARY KEY, user_id integer NOT NULL REFERENCES auth_user, group_id integer NOT NULL REFERENCES auth_group, UNIQUE (user_id, group_id));
CREATE TABLE django_session (session_key varchar(40) PRIMARY KEY, session_data text NOT NULL, expire_date timestamptz NOT NULL);
INSERT INTO auth_group (name) VALUES ('editors'), ('readers');
INSERT INTO auth_permission (name, content_type_id, codename) VALUES ('Can add', 1, 'add_x'), ('Can view', 1, 'view_x');
INSERT INTO auth_group_permissions (group_id, permission_id) VALUES (1,1),(1,2),(2,2);
INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
SELECT 'pbkdf2_sha256$600000$salt' || n || '$' || md5(n::text), n = 1, 'user' || n, 'Ann', 'Lee ' || n, 'user' || n || '@example.org', n = 1, true, now() FROM generate_series(1, 300) n;
INSERT INTO auth_user_groups (user_id, group_id) SELECT n, 1 + n % 2 FROM generate_series(1, 300) n;
