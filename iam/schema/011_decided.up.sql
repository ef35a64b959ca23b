-- Who decided what a tenant may use, where a person did and not a run: nothing that is derived takes its place.
-- promises: column tenant_capabilities.decided_by

ALTER TABLE tenant_capabilities ADD COLUMN decided_by text;
