-- Added after the rows: an index built at once is faster than one grown row by row.
ALTER TABLE users
    ADD CONSTRAINT uq_user_tenant_username UNIQUE (tenant_id, username),
    ADD CONSTRAINT uq_user_tenant_email UNIQUE (tenant_id, email);
CREATE INDEX ix_users_tenant_id ON users (tenant_id);
CREATE INDEX ix_users_email ON users (email);
CREATE INDEX ix_users_username ON users (username);
ALTER TABLE users ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
ALTER TABLE plan_definitions ADD FOREIGN KEY (product_id) REFERENCES products (id);
ALTER TABLE feature_definitions ADD FOREIGN KEY (product_id) REFERENCES products (id);
ALTER TABLE plan_features
    ADD FOREIGN KEY (plan_id) REFERENCES plan_definitions (id), ADD FOREIGN KEY (feature_id) REFERENCES feature_definitions (id);
ALTER TABLE subscriptions
    ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id), ADD FOREIGN KEY (plan_id) REFERENCES plan_definitions (id);
ALTER TABLE subscription_entitlements
    ADD FOREIGN KEY (subscription_id) REFERENCES subscriptions (id),
    ADD FOREIGN KEY (feature_id) REFERENCES feature_definitions (id);
ALTER TABLE licenses
    ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id), ADD FOREIGN KEY (template_id) REFERENCES templates (id),
    ADD FOREIGN KEY (linked_subscription) REFERENCES subscriptions (id);
ALTER TABLE roles ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
ALTER TABLE role_permissions
    ADD FOREIGN KEY (role_id) REFERENCES roles (id), ADD FOREIGN KEY (permission_id) REFERENCES permissions (id),
    ADD FOREIGN KEY (granted_by) REFERENCES users (id);
ALTER TABLE user_roles
    ADD FOREIGN KEY (user_id) REFERENCES users (id), ADD FOREIGN KEY (role_id) REFERENCES roles (id),
    ADD FOREIGN KEY (assigned_by) REFERENCES users (id);
ALTER TABLE social_connections ADD FOREIGN KEY (user_id) REFERENCES users (id);
ALTER TABLE user_sessions ADD FOREIGN KEY (user_id) REFERENCES users (id);
ALTER TABLE oauth_clients ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
ALTER TABLE oauth_authorization_codes
    ADD FOREIGN KEY (client_id) REFERENCES oauth_clients (id), ADD FOREIGN KEY (user_id) REFERENCES users (id);
ALTER TABLE oauth_access_tokens
    ADD FOREIGN KEY (client_id) REFERENCES oauth_clients (id), ADD FOREIGN KEY (user_id) REFERENCES users (id);
ALTER TABLE oauth_refresh_tokens
    ADD FOREIGN KEY (client_id) REFERENCES oauth_clients (id), ADD FOREIGN KEY (user_id) REFERENCES users (id),
    ADD FOREIGN KEY (access_token_id) REFERENCES oauth_access_tokens (id);
ALTER TABLE oauth_client_users
    ADD FOREIGN KEY (user_id) REFERENCES users (id), ADD FOREIGN KEY (client_id) REFERENCES oauth_clients (id);
ALTER TABLE audit_log
    ADD FOREIGN KEY (user_id) REFERENCES users (id), ADD FOREIGN KEY (session_id) REFERENCES user_sessions (id),
    ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
ALTER TABLE user_extensions ADD FOREIGN KEY (user_id) REFERENCES users (id);
ALTER TABLE identity_providers ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
ALTER TABLE external_identities
    ADD FOREIGN KEY (user_id) REFERENCES users (id), ADD FOREIGN KEY (identity_provider_id) REFERENCES identity_providers (id);
