-- What users are told inside the applications. Texts by language, with $name and $tenant for the reader's and $word for what `words`
-- says; `tenants` NULL is everybody's, `role` NULL is any.
-- promises: table notices
-- promises: table notice_reads

CREATE TABLE notices (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    kind varchar(20) NOT NULL,
    subject jsonb NOT NULL,
    body jsonb NOT NULL,
    tenants uuid[],
    role text,
    words jsonb NOT NULL DEFAULT '{}',
    starts_at timestamptz NOT NULL DEFAULT now(),
    ends_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_notices_starts_at ON notices (starts_at);

CREATE TABLE notice_reads (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    notice_id uuid NOT NULL REFERENCES notices (id) ON DELETE CASCADE,
    read_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, notice_id)
);
CREATE INDEX idx_notice_reads_notice_id ON notice_reads (notice_id);
