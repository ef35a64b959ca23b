"""Seams that were cut on purpose: see faults.toml, and `make seams`."""
