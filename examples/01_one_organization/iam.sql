-- The tenant that all users belong to.
INSERT INTO tenants (id, name, slug, is_active) VALUES ('5f0c0000-0000-4000-8000-000000000001', 'Our organization', 'ours', true)
ON CONFLICT DO NOTHING;
