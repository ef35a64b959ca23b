ALTER TABLE tenant_capabilities
    DROP CONSTRAINT tenant_capabilities_tenant_id_fkey,
    ADD CONSTRAINT tenant_capabilities_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id);
ALTER TABLE tenant_feature_enablement
    DROP CONSTRAINT tenant_feature_enablement_tenant_id_fkey,
    ADD CONSTRAINT tenant_feature_enablement_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id);
ALTER TABLE user_capability_state
    DROP CONSTRAINT user_capability_state_user_id_fkey,
    ADD CONSTRAINT user_capability_state_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id);
