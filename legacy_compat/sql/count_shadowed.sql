INSERT INTO legacy_compat_shadowed AS s (day, endpoint, compared, alike) VALUES (%s, %s, 1, %s)
ON CONFLICT (day, endpoint) DO UPDATE SET compared = s.compared + 1, alike = s.alike + excluded.alike
