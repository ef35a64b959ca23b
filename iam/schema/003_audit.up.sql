-- The IAM's own audit log (the portal's is in the portal's database).
-- promises: table audit_log
-- promises: index idx_audit_log_tenant_created

CREATE TABLE audit_log (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid REFERENCES users (id),
    session_id uuid,
    tenant_id uuid REFERENCES tenants (id),
    event_type varchar(100) NOT NULL,
    event_category varchar(50) NOT NULL,
    resource varchar(100),
    resource_id varchar(255),
    action varchar(50),
    success boolean NOT NULL DEFAULT true,
    error_message text,
    ip_address inet,
    user_agent text,
    request_id varchar(100),
    metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_audit_log_user_id ON audit_log (user_id);
CREATE INDEX idx_audit_log_tenant_created ON audit_log (tenant_id, created_at);
CREATE INDEX idx_audit_log_request_id ON audit_log (request_id);
