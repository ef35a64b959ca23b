-- The ledger, in the IAM database, as version 0.1 made it. Never edited: ledger_2.sql and its followers change it.
CREATE SCHEMA IF NOT EXISTS portal_ledger;

-- The unit of retry. `kind` says what is done, `spec` to what; copy chunks are half-open key ranges.
CREATE TABLE IF NOT EXISTS portal_ledger.chunks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run uuid NOT NULL,
    step text NOT NULL,
    step_order integer NOT NULL,
    ordinal integer NOT NULL,
    kind text NOT NULL,
    table_name text NOT NULL,
    lower text[],
    upper text[],
    spec jsonb NOT NULL DEFAULT '{}',
    rows_planned bigint NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'claimed', 'done', 'failed')),
    attempt integer NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    worker text NOT NULL DEFAULT '',
    backend integer,
    lease_until timestamptz,
    not_before timestamptz NOT NULL DEFAULT '-infinity',
    started_at timestamptz,
    finished_at timestamptz,
    rows_read bigint NOT NULL DEFAULT 0,
    rows_written bigint NOT NULL DEFAULT 0,
    rows_quarantined bigint NOT NULL DEFAULT 0,
    error text NOT NULL DEFAULT '',
    UNIQUE (run, step, ordinal)
);
CREATE INDEX IF NOT EXISTS chunks_claimable ON portal_ledger.chunks (run, state, step_order, ordinal);

-- How a run treats a table: `load` when it was empty (constraints set aside), else `upsert`.
CREATE TABLE IF NOT EXISTS portal_ledger.tables (
    run uuid NOT NULL,
    table_name text NOT NULL,
    mode text NOT NULL CHECK (mode IN ('load', 'upsert')),
    PRIMARY KEY (run, table_name)
);

-- Both schemas as they stood when the run began: while constraints are set aside, the catalog does not show them.
CREATE TABLE IF NOT EXISTS portal_ledger.catalogs (
    run uuid PRIMARY KEY,
    source jsonb NOT NULL,
    target jsonb NOT NULL
);

-- The transactions in which a run wrote rows. A row whose xmin is among them was not edited since:
-- undo needs no copy of every row.
CREATE TABLE IF NOT EXISTS portal_ledger.commits (
    run uuid NOT NULL,
    table_name text NOT NULL,
    xid xid NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS commits_run ON portal_ledger.commits (run, table_name);
CREATE INDEX IF NOT EXISTS commits_xid ON portal_ledger.commits USING hash (xid);

-- What a run changed in a table that was in use, for undo: the row as it was, or NULL where there was none.
-- json, not jsonb: a legacy payload may hold \u0000.
CREATE TABLE IF NOT EXISTS portal_ledger.overwritten (
    run uuid NOT NULL,
    table_name text NOT NULL,
    key text[] NOT NULL,
    before json,
    PRIMARY KEY (run, table_name, key)
);

CREATE TABLE IF NOT EXISTS portal_ledger.set_aside (
    run uuid NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('unique', 'index', 'foreign_key')),
    definition text NOT NULL,
    is_constraint boolean NOT NULL,
    restored_at timestamptz,
    PRIMARY KEY (run, table_name, name)
);

-- Rows set aside with a reason. `data` never holds secret columns.
CREATE TABLE IF NOT EXISTS portal_ledger.quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run uuid NOT NULL,
    table_name text NOT NULL,
    source_table text NOT NULL,
    source_key text[] NOT NULL,
    tenant text,
    reason text NOT NULL,
    detail text NOT NULL DEFAULT '',
    data jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'copied', 'discarded')),
    created_at timestamptz NOT NULL DEFAULT now(),
    decided_at timestamptz,
    decided_by text NOT NULL DEFAULT '',
    UNIQUE (run, table_name, source_key)
);
CREATE INDEX IF NOT EXISTS quarantine_open ON portal_ledger.quarantine (state, table_name, reason);

-- Partial sums of one side's blocks: they add up in any order.
CREATE TABLE IF NOT EXISTS portal_ledger.sums (
    run uuid NOT NULL,
    verification integer NOT NULL,
    table_name text NOT NULL,
    side text NOT NULL CHECK (side IN ('legacy', 'iam')),
    piece integer NOT NULL,
    buckets integer[] NOT NULL,
    counts bigint[] NOT NULL,
    hashes numeric[] NOT NULL,
    PRIMARY KEY (run, verification, table_name, side, piece)
);

-- What verification found. Values of secret columns are never stored.
CREATE TABLE IF NOT EXISTS portal_ledger.findings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run uuid NOT NULL,
    verification integer NOT NULL,
    table_name text NOT NULL,
    kind text NOT NULL,
    key text[] NOT NULL DEFAULT '{}',
    field text NOT NULL DEFAULT '',
    legacy_value text,
    iam_value text,
    severity text NOT NULL DEFAULT 'error',
    found_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS findings_run ON portal_ledger.findings (run, verification, table_name);

-- The named checks of a verification.
CREATE TABLE IF NOT EXISTS portal_ledger.checks (
    run uuid NOT NULL,
    verification integer NOT NULL,
    name text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('ok', 'warning', 'error')),
    summary text NOT NULL,
    advice text NOT NULL DEFAULT '',
    details jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (run, verification, name)
);

-- What undo left in place, and why.
CREATE TABLE IF NOT EXISTS portal_ledger.left_in_place (
    run uuid NOT NULL,
    table_name text NOT NULL,
    key text[] NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (run, table_name, key)
);

-- Keys that catch-up has written since they were last compared, a batch a row; each key is the text of its array.
CREATE TABLE IF NOT EXISTS portal_ledger.touched (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run uuid NOT NULL,
    source_table text NOT NULL,
    keys text[] NOT NULL,
    touched_at timestamptz NOT NULL DEFAULT now()
);

-- Rows written on the side that does not own their tenant: listed one by one, decided by a person.
CREATE TABLE IF NOT EXISTS portal_ledger.strays (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run uuid NOT NULL,
    direction text NOT NULL CHECK (direction IN ('forward', 'reverse')),
    table_name text NOT NULL,
    key text[] NOT NULL,
    tenant text,
    what text NOT NULL CHECK (what IN ('written', 'deleted')),
    seen_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'taken', 'dropped')),
    decided_at timestamptz,
    decided_by text NOT NULL DEFAULT '',
    UNIQUE (run, direction, table_name, key)
);

-- Which IAM schema scripts are applied, by whom, and what they said then.
CREATE TABLE IF NOT EXISTS portal_ledger.schema_scripts (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    applied_by text NOT NULL
);
