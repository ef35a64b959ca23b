DROP TRIGGER end_sessions ON users;
DROP FUNCTION end_sessions();
DROP TABLE ended_sessions;
ALTER TABLE oauth_refresh_tokens DROP COLUMN authorization_id, DROP COLUMN amr, DROP COLUMN auth_time;
ALTER TABLE oauth_access_tokens DROP COLUMN authorization_id, DROP COLUMN amr, DROP COLUMN auth_time;
ALTER TABLE oauth_authorization_codes
    DROP COLUMN authorization_id, DROP COLUMN amr, DROP COLUMN auth_time, DROP COLUMN used_at,
    ALTER COLUMN nonce TYPE varchar(100) USING left(nonce, 100);
