"""The migration plan: a TOML file -> dataclasses -> SQL. Pure: no connection is opened here."""
