DROP TABLE user_capability_state;
DROP TABLE tenant_feature_enablement;
DROP TABLE tenant_capabilities;
DROP TABLE system_capabilities;
