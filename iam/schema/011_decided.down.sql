ALTER TABLE tenant_capabilities DROP COLUMN decided_by;
