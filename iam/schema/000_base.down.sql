DROP TABLE tenant_settings;
DROP TABLE licenses;
DROP TABLE users;
DROP TABLE tenants;
