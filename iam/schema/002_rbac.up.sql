-- Roles and permissions. The two system roles have fixed ids, so that a plan can name them.
-- promises: table roles
-- promises: table permissions
-- promises: table role_permissions
-- promises: table user_roles
-- promises: row roles name=admin
-- promises: row roles name=user

CREATE TABLE roles (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(100) NOT NULL,
    description text,
    is_system boolean DEFAULT false,
    tenant_id uuid REFERENCES tenants (id),
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    CONSTRAINT roles_name_tenant_id_key UNIQUE (name, tenant_id)
);
-- NULLs are distinct in the constraint above: without this, two global roles could share a name.
CREATE UNIQUE INDEX idx_roles_global_name ON roles (name) WHERE tenant_id IS NULL;
CREATE INDEX idx_roles_tenant_id ON roles (tenant_id);

CREATE TABLE permissions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(100) NOT NULL,
    resource varchar(100) NOT NULL,
    action varchar(50) NOT NULL,
    description text,
    is_system boolean DEFAULT false,
    created_at timestamptz DEFAULT now(),
    UNIQUE (resource, action)
);

CREATE TABLE role_permissions (
    role_id uuid NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    permission_id uuid NOT NULL REFERENCES permissions (id) ON DELETE CASCADE,
    granted_at timestamptz DEFAULT now(),
    granted_by uuid REFERENCES users (id),
    PRIMARY KEY (role_id, permission_id)
);
CREATE INDEX idx_role_permissions_permission_id ON role_permissions (permission_id);
CREATE INDEX idx_role_permissions_granted_by ON role_permissions (granted_by);

CREATE TABLE user_roles (
    user_id uuid NOT NULL,
    role_id uuid NOT NULL,
    assigned_by uuid,
    expires_at timestamptz,
    created_at timestamptz DEFAULT now(),
    PRIMARY KEY (user_id, role_id),
    CONSTRAINT user_roles_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT user_roles_role_id_fkey FOREIGN KEY (role_id) REFERENCES roles (id),
    CONSTRAINT user_roles_assigned_by_fkey FOREIGN KEY (assigned_by) REFERENCES users (id)
);
CREATE INDEX idx_user_roles_role_id ON user_roles (role_id);
CREATE INDEX idx_user_roles_assigned_by ON user_roles (assigned_by) WHERE assigned_by IS NOT NULL;

INSERT INTO roles (id, name, description, is_system) VALUES
    ('00000000-0000-4000-8000-000000000001', 'admin', 'Manages users, roles and licences', true),
    ('00000000-0000-4000-8000-000000000002', 'user', 'Signs in and reads its own data', true);

INSERT INTO permissions (name, resource, action, description, is_system) VALUES
    ('users:read', 'users', 'read', 'List and read users', true),
    ('users:write', 'users', 'write', 'Create, change and deactivate users', true),
    ('roles:read', 'roles', 'read', 'List and read roles', true),
    ('roles:write', 'roles', 'write', 'Create and change roles and grants', true),
    ('tenants:read', 'tenants', 'read', 'List and read tenants', true),
    ('tenants:write', 'tenants', 'write', 'Create and change tenants', true),
    ('licenses:read', 'licenses', 'read', 'List, read and validate licences', true),
    ('licenses:write', 'licenses', 'write', 'Issue and revoke licences', true),
    ('profile:read', 'profile', 'read', 'Read one''s own profile', true),
    ('profile:write', 'profile', 'write', 'Change one''s own profile', true);

INSERT INTO role_permissions (role_id, permission_id)
SELECT '00000000-0000-4000-8000-000000000001'::uuid, id FROM permissions
UNION ALL
SELECT '00000000-0000-4000-8000-000000000002'::uuid, id FROM permissions WHERE resource = 'profile';
