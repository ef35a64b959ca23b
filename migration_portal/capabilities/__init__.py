"""What the system offers, what tenants may use, who is enrolled: derived from migrated rows, and edited here."""
