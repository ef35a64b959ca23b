-- Sessions of signed-in users.
-- promises: table user_sessions
-- promises: index idx_user_sessions_expires_at

CREATE TABLE user_sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users (id),
    session_id varchar(255) UNIQUE NOT NULL,
    device_info jsonb,
    ip_address inet,
    user_agent text,
    location jsonb,
    is_active boolean DEFAULT true,
    created_at timestamptz DEFAULT now(),
    last_activity timestamptz DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX idx_user_sessions_user_id ON user_sessions (user_id);
CREATE INDEX idx_user_sessions_expires_at ON user_sessions (expires_at);
