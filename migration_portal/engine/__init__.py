"""Moves rows. Pure psycopg, knows no Django: everything it needs comes in as a `Transfer`.

The target is the truth: chunks, quarantine, and what is needed to undo live in the schema
`portal_ledger` of the IAM database and commit together with the rows they are about.
"""
