"""The new system. For now its tables: numbered scripts under schema/, applied by the portal."""
