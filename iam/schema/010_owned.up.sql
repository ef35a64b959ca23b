-- What a tenant may use and a user is enrolled in is theirs: it goes with them, whoever removes them.
-- promises: constraint tenant_capabilities.tenant_capabilities_tenant_id_fkey
-- promises: constraint user_capability_state.user_capability_state_user_id_fkey

ALTER TABLE tenant_capabilities
    DROP CONSTRAINT tenant_capabilities_tenant_id_fkey,
    ADD CONSTRAINT tenant_capabilities_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE tenant_feature_enablement
    DROP CONSTRAINT tenant_feature_enablement_tenant_id_fkey,
    ADD CONSTRAINT tenant_feature_enablement_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE user_capability_state
    DROP CONSTRAINT user_capability_state_user_id_fkey,
    ADD CONSTRAINT user_capability_state_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE;
