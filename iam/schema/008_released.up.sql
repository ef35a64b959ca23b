-- What the released Sigma Permit holds and 000 to 007 have no room for: longer texts, sign-ins elsewhere, its subscriptions, and
-- roles and permissions of its own, of which some are the default ones under other ids.
-- promises: table subscriptions
-- promises: table subscription_plans
-- promises: column users.oauth_provider
-- promises: column users.sso_metadata
-- promises: column permissions.code
-- promises: column ended_sessions.kept
-- promises: index idx_subscriptions_tenant_id

-- The released service checks lengths in some of its doors and in none of its columns.
ALTER TABLE tenants ALTER COLUMN name TYPE text, ALTER COLUMN slug TYPE text;
ALTER TABLE users
    ALTER COLUMN email TYPE text, ALTER COLUMN username TYPE text, ALTER COLUMN full_name TYPE text,
    ALTER COLUMN avatar_url TYPE text, ALTER COLUMN phone_number TYPE text,
    ADD COLUMN oauth_provider text, ADD COLUMN oauth_id text,
    ADD COLUMN oauth_access_token text, ADD COLUMN oauth_refresh_token text,
    ADD COLUMN sso_provider text, ADD COLUMN sso_id text, ADD COLUMN sso_metadata json;
ALTER TABLE licenses ALTER COLUMN license_key TYPE text, ALTER COLUMN license_secret TYPE text;
CREATE INDEX idx_users_oauth ON users (oauth_provider, oauth_id) WHERE oauth_id IS NOT NULL;

-- Whatever account elsewhere a user may sign in with.
CREATE VIEW external_identities AS
SELECT user_id, 'social' AS kind, provider, provider_user_id AS external_id FROM social_connections
UNION
SELECT id, 'social', oauth_provider, oauth_id FROM users WHERE oauth_provider IS NOT NULL AND oauth_id IS NOT NULL
UNION
SELECT id, 'sso', sso_provider, sso_id FROM users WHERE sso_provider IS NOT NULL AND sso_id IS NOT NULL;

-- Legacy's, followed as long as it owns them: what a licence that is linked to one is worth.
CREATE TABLE subscriptions (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    plan_id varchar(36),
    status text NOT NULL,
    start_date timestamptz,
    issue_date timestamptz,
    end_date timestamptz,
    auto_renew boolean
);
CREATE INDEX idx_subscriptions_tenant_id ON subscriptions (tenant_id);
CREATE TABLE subscription_plans (id uuid PRIMARY KEY, billing_interval text NOT NULL);

-- Names are legacy's to choose; what a permission is about is not.
ALTER TABLE permissions ADD COLUMN code text GENERATED ALWAYS AS (resource || ':' || action) STORED;
CREATE INDEX idx_permissions_code ON permissions (code);

-- A role or permission of legacy's that is a default one by name takes its place, and its grants on top of its own, and keeps
-- legacy's id: clients know it. (In legacy several global roles may share a name; the first takes the place.)
DROP INDEX idx_roles_global_name;
CREATE INDEX idx_roles_global_name ON roles (name) WHERE tenant_id IS NULL;
ALTER TABLE permissions DROP CONSTRAINT permissions_resource_action_key;

CREATE FUNCTION default_id(kind text, name text) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN kind = 'permission' THEN md5(name)::uuid
               WHEN name = 'admin' THEN '00000000-0000-4000-8000-000000000001'::uuid
               WHEN name = 'user' THEN '00000000-0000-4000-8000-000000000002'::uuid END $$;

ALTER TABLE role_permissions
    DROP CONSTRAINT role_permissions_permission_id_fkey,
    ADD CONSTRAINT role_permissions_permission_id_fkey FOREIGN KEY (permission_id) REFERENCES permissions (id)
        ON DELETE CASCADE ON UPDATE CASCADE;
-- The ten of 002 alone are named like their code.
UPDATE permissions SET id = public.default_id('permission', code) WHERE is_system AND name = code;

CREATE FUNCTION take_default_place() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    before uuid;
BEGIN
    IF TG_TABLE_NAME = 'roles' THEN
        before := default_id('role', NEW.name);
        IF before IS NULL OR before = NEW.id OR NOT EXISTS (SELECT FROM roles WHERE id = before) THEN
            RETURN NULL;
        END IF;
        UPDATE user_roles SET role_id = NEW.id WHERE role_id = before;
        UPDATE role_permissions SET role_id = NEW.id WHERE role_id = before;
    ELSE
        before := default_id('permission', NEW.code);
        IF before = NEW.id OR NOT EXISTS (SELECT FROM permissions WHERE id = before) THEN
            RETURN NULL;
        END IF;
        UPDATE role_permissions SET permission_id = NEW.id WHERE permission_id = before;
    END IF;
    EXECUTE format('DELETE FROM %I WHERE id = $1', TG_TABLE_NAME) USING before;
    RETURN NULL;
END $$;
CREATE TRIGGER take_default_place AFTER INSERT OR UPDATE OF name, tenant_id ON roles FOR EACH ROW WHEN (NEW.tenant_id IS NULL)
EXECUTE FUNCTION take_default_place();
CREATE TRIGGER take_default_place AFTER INSERT OR UPDATE OF resource, action ON permissions FOR EACH ROW
EXECUTE FUNCTION take_default_place();

-- When what took the place goes (a run is undone), or gets another name, the default comes back.
CREATE FUNCTION give_default_back() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'roles' THEN
        INSERT INTO roles (id, name, description, is_system)
        SELECT default_id('role', OLD.name), OLD.name, OLD.description, true
        WHERE NOT EXISTS (SELECT FROM roles WHERE tenant_id IS NULL AND name = OLD.name);
    ELSE
        INSERT INTO permissions (id, name, resource, action, description, is_system)
        SELECT default_id('permission', OLD.code), OLD.code, OLD.resource, OLD.action, OLD.description, true
        WHERE NOT EXISTS (SELECT FROM permissions WHERE code = OLD.code);
    END IF;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO role_permissions (role_id, permission_id)
    SELECT r.id, p.id FROM roles AS r JOIN permissions AS p ON p.id = default_id('permission', p.code)
    WHERE r.id = default_id('role', 'admin') OR r.id = default_id('role', 'user') AND p.resource = 'profile'
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER give_default_back AFTER DELETE OR UPDATE OF name, tenant_id ON roles FOR EACH ROW
WHEN (OLD.tenant_id IS NULL AND OLD.name IN ('admin', 'user') AND OLD.id <> default_id('role', OLD.name))
EXECUTE FUNCTION give_default_back();
CREATE TRIGGER give_default_back AFTER DELETE OR UPDATE OF resource, action ON permissions FOR EACH ROW
WHEN (OLD.id <> default_id('permission', OLD.code) AND OLD.code IN (
    'users:read', 'users:write', 'roles:read', 'roles:write', 'tenants:read', 'tenants:write', 'licenses:read', 'licenses:write',
    'profile:read', 'profile:write'))
EXECUTE FUNCTION give_default_back();

-- Who changes a password through a legacy door stays signed in there, as in legacy: with the session that is named, or with
-- tokens of legacy's that were issued at that moment. Everybody else's end.
ALTER TABLE ended_sessions ADD COLUMN kept timestamptz;

CREATE OR REPLACE FUNCTION end_sessions() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    kept_session text := nullif(current_setting('iam.kept_session', true), '');
    kept_at timestamptz := nullif(current_setting('iam.kept_at', true), '');
BEGIN
    UPDATE user_sessions SET is_active = false
    WHERE user_id = NEW.id AND is_active AND session_id IS DISTINCT FROM kept_session;
    INSERT INTO ended_sessions (user_id, ended_at, kept)
    SELECT NEW.id, now(), kept_at WHERE coalesce(current_setting('portal.applying', true), '') <> 'on'
    ON CONFLICT (user_id) DO UPDATE SET ended_at = now(), kept = excluded.kept;
    UPDATE oauth_refresh_tokens SET revoked_at = now() WHERE user_id = NEW.id AND revoked_at IS NULL;
    UPDATE oauth_access_tokens SET expires_at = now() WHERE user_id = NEW.id AND expires_at > now();
    DELETE FROM oauth_authorization_codes WHERE user_id = NEW.id;
    RETURN NULL;
END $$;
