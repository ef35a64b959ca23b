-- What ends with a password or an account, whoever changes it: our doors, an operator's SQL, or catch-up. And how tokens of
-- OAuth clients were won: one authorization is a code and all that came of it.
-- promises: table ended_sessions
-- promises: column oauth_authorization_codes.authorization_id
-- promises: column oauth_access_tokens.authorization_id
-- promises: column oauth_refresh_tokens.authorization_id

ALTER TABLE oauth_authorization_codes
    ADD COLUMN authorization_id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN amr jsonb,
    ADD COLUMN auth_time timestamptz,
    ADD COLUMN used_at timestamptz,
    ALTER COLUMN nonce TYPE text;
ALTER TABLE oauth_access_tokens
    ADD COLUMN authorization_id uuid, ADD COLUMN amr jsonb, ADD COLUMN auth_time timestamptz;
ALTER TABLE oauth_refresh_tokens
    ADD COLUMN authorization_id uuid, ADD COLUMN amr jsonb, ADD COLUMN auth_time timestamptz;
CREATE INDEX idx_oauth_access_tokens_authorization_id ON oauth_access_tokens (authorization_id);
CREATE INDEX idx_oauth_refresh_tokens_authorization_id ON oauth_refresh_tokens (authorization_id);

-- For tokens that the legacy system issued: they have no session, and end when they are older. It refers to nobody, so that the
-- user can be removed again. Not for what catch-up brings: that is late, and may follow a token which was issued after the change.
CREATE TABLE ended_sessions (user_id uuid PRIMARY KEY, ended_at timestamptz NOT NULL);

CREATE FUNCTION end_sessions() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE user_sessions SET is_active = false WHERE user_id = NEW.id AND is_active;
    INSERT INTO ended_sessions SELECT NEW.id, now() WHERE coalesce(current_setting('portal.applying', true), '') <> 'on'
    ON CONFLICT (user_id) DO UPDATE SET ended_at = now();
    UPDATE oauth_refresh_tokens SET revoked_at = now() WHERE user_id = NEW.id AND revoked_at IS NULL;
    UPDATE oauth_access_tokens SET expires_at = now() WHERE user_id = NEW.id AND expires_at > now();
    DELETE FROM oauth_authorization_codes WHERE user_id = NEW.id;
    RETURN NULL;
END $$;

-- A hash that is made anew of the same password (iam.same_password) ends nothing.
CREATE TRIGGER end_sessions AFTER UPDATE OF is_active, hashed_password ON users FOR EACH ROW
WHEN ((OLD.is_active AND NEW.is_active IS NOT TRUE) OR (OLD.hashed_password IS DISTINCT FROM NEW.hashed_password
      AND coalesce(current_setting('iam.same_password', true), '') = ''))
EXECUTE FUNCTION end_sessions();
