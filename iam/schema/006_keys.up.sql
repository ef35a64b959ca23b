-- The keys that tokens of the new API are signed with; private halves are encrypted with the portal's secret.
-- promises: table signing_keys

CREATE TABLE signing_keys (
    kid varchar(64) PRIMARY KEY,
    public_jwk jsonb NOT NULL,
    private_jwk_encrypted text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
