-- +goose Up

-- The two roles that functions work as. Neither owns a table, can log in or passes
-- row-level security by: a function's own user is a member of one or both (see
-- cmd/migrate), and internal/postgres says with each connection which it is, for
-- which organisation.
--
--   lectern_tenant  sees and writes the rows of the organisation in lectern.organization
--   lectern_system  sees all organisations: queues' workers, the sweep, sign-in
-- +goose StatementBegin
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lectern_tenant') THEN
    CREATE ROLE lectern_tenant NOLOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lectern_system') THEN
    CREATE ROLE lectern_system NOLOGIN;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL; -- another database of this server is migrated at this moment
END $$;
-- +goose StatementEnd

ALTER TABLE organizations
  ADD COLUMN operator BOOLEAN NOT NULL DEFAULT false, -- whose members may be root
  ADD CONSTRAINT organizations_named CHECK (organization_id <> ''); -- '' is what a connection without one is set to

-- Nobody could sign in as the stand-in. Where it has courses, they stay.
DELETE FROM users WHERE user_id = 'user_local' AND NOT EXISTS (SELECT FROM courses WHERE organization_id = 'org_local');
DELETE FROM organizations WHERE organization_id = 'org_local' AND NOT EXISTS (SELECT FROM courses WHERE organization_id = 'org_local');

ALTER TABLE users
  ADD COLUMN email      TEXT NOT NULL DEFAULT '', -- as its owner writes it
  ADD COLUMN address    TEXT,                     -- the e-mail address in the form that is compared: NFC, lower case; null: cannot sign in
  ADD COLUMN updated_at TIMESTAMPTZ NOT NULL DEFAULT now();
CREATE UNIQUE INDEX users_address ON users (address);
CREATE INDEX users_organization ON users (organization_id);

-- Apart from users, so that the role of tenants need not see it.
CREATE TABLE passwords (
  user_id         TEXT PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  hashed_password TEXT NOT NULL, -- Argon2id, PHC string
  changed_at      TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- Who is signed in, and where. A cookie or session token names a row by a secret of
-- 256 bits of which only the SHA-256 is kept.
CREATE TABLE sign_ins (
  sign_in_id      TEXT PRIMARY KEY,
  token_hash      BYTEA NOT NULL UNIQUE,
  user_id         TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
  organization_id TEXT NOT NULL REFERENCES organizations,
  device          TEXT NOT NULL DEFAULT '', -- the browser's own words, for the list that its owner sees
  created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
  seen_at         TIMESTAMPTZ NOT NULL DEFAULT now(), -- to a few minutes
  expires_at      TIMESTAMPTZ NOT NULL
);
CREATE INDEX sign_ins_user ON sign_ins (user_id);
CREATE INDEX sign_ins_expiry ON sign_ins (expires_at);

-- Organisations' API credentials. Append-only: a trigger refuses every change.
CREATE TABLE credentials (
  auth_id         TEXT PRIMARY KEY,
  organization    TEXT NOT NULL REFERENCES organizations,
  hashed_password TEXT NOT NULL, -- Argon2id, PHC string
  label           TEXT NOT NULL DEFAULT '',
  scopes          TEXT[] NOT NULL CHECK (scopes <@ ARRAY['chat', 'courses:read', 'courses:write'] AND cardinality(scopes) > 0),
  created_by      TEXT NOT NULL,
  created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
  expires_at      TIMESTAMPTZ -- null: never
);
CREATE INDEX credentials_organization ON credentials (organization, created_at DESC, auth_id DESC);

CREATE TABLE credential_revocations (
  auth_id         TEXT PRIMARY KEY REFERENCES credentials,
  organization_id TEXT NOT NULL REFERENCES organizations,
  revoked_by      TEXT NOT NULL,
  revoked_at      TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE credential_uses (
  auth_id         TEXT PRIMARY KEY REFERENCES credentials,
  organization_id TEXT NOT NULL REFERENCES organizations,
  used_at         TIMESTAMPTZ NOT NULL DEFAULT now() -- to a few minutes
);

-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
-- +goose StatementEnd
CREATE TRIGGER credentials_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON credentials
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER credential_revocations_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON credential_revocations
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The passwords that migrate -bootstrap was given last: what a person has chosen since
-- then stays, until its setting changes. For the tables' owner alone.
CREATE TABLE founders (
  user_id         TEXT PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  hashed_password TEXT NOT NULL -- Argon2id, PHC string
);
ALTER TABLE founders ENABLE ROW LEVEL SECURITY;

-- What is sent by mail and works once: only the SHA-256 of its 256-bit secret is kept.
CREATE TABLE links (
  link_id         TEXT PRIMARY KEY,
  token_hash      BYTEA NOT NULL UNIQUE,
  kind            TEXT NOT NULL CHECK (kind IN ('sign_up', 'invitation', 'reset', 'sign_in')),
  organization_id TEXT REFERENCES organizations,                -- null: it does not exist yet
  user_id         TEXT REFERENCES users ON DELETE CASCADE,      -- null: the same
  address         TEXT NOT NULL,
  data            JSONB NOT NULL DEFAULT '{}',                  -- what its use will make
  created_by      TEXT NOT NULL DEFAULT '',
  created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
  expires_at      TIMESTAMPTZ NOT NULL,
  used_at         TIMESTAMPTZ
);
CREATE INDEX links_expiry ON links (expires_at);
CREATE INDEX links_address ON links (address);
CREATE INDEX links_organization ON links (organization_id) WHERE kind = 'invitation';

-- How much of its allowance somebody has used: a row per account, address, … (GCRA).
CREATE UNLOGGED TABLE throttles (
  key   TEXT PRIMARY KEY,
  until TIMESTAMPTZ NOT NULL -- when it will be as if nothing had been asked
);
CREATE INDEX throttles_until ON throttles (until);

-- What an organisation may spend in a month, in millionths of a US dollar.
CREATE TABLE budgets (
  organization_id TEXT PRIMARY KEY REFERENCES organizations,
  soft_micros     BIGINT NOT NULL CHECK (soft_micros >= 0), -- a warning
  hard_micros     BIGINT NOT NULL CHECK (hard_micros >= soft_micros),
  updated_by      TEXT NOT NULL,
  updated_at      TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- What was spent, entry by entry. Reserved before the work, settled after it; what
-- nobody settles in time is settled by the sweep, in full.
CREATE TABLE ledger (
  entry_id        TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations,
  month           DATE NOT NULL, -- its first day, UTC
  kind            TEXT NOT NULL CHECK (kind IN ('tokens', 'embedding', 'speech', 'render')),
  model           TEXT NOT NULL, -- what the price is looked up by
  state           TEXT NOT NULL CHECK (state IN ('reserved', 'settled', 'released', 'expired')),
  input_units     BIGINT NOT NULL CHECK (input_units >= 0),  -- tokens in, characters, seconds; while reserved: at most
  output_units    BIGINT NOT NULL CHECK (output_units >= 0), -- tokens out, seconds of sound
  reserved_micros BIGINT NOT NULL CHECK (reserved_micros >= 0),
  micros          BIGINT NOT NULL DEFAULT 0 CHECK (micros >= 0), -- what it cost, once settled
  user_id         TEXT NOT NULL DEFAULT '',
  subject         TEXT NOT NULL DEFAULT '', -- the job or session it was spent for
  created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
  settled_at      TIMESTAMPTZ,
  expires_at      TIMESTAMPTZ NOT NULL,
  CHECK ((state = 'reserved') = (settled_at IS NULL)),
  CHECK (micros = 0 OR state IN ('settled', 'expired'))
);
CREATE INDEX ledger_page ON ledger (organization_id, month, created_at, entry_id);
CREATE INDEX ledger_expiry ON ledger (expires_at) WHERE state = 'reserved';

-- The month's sums, so that a reservation is one statement on one row, and what a
-- month was used for is read without its entries.
CREATE TABLE ledger_months (
  organization_id   TEXT NOT NULL REFERENCES organizations,
  month             DATE NOT NULL,
  reserved_micros   BIGINT NOT NULL DEFAULT 0 CHECK (reserved_micros >= 0),
  spent_micros      BIGINT NOT NULL DEFAULT 0, -- without a CHECK of its own: it would be held against a row that is not the newest
  tokens_in         BIGINT NOT NULL DEFAULT 0,
  tokens_out        BIGINT NOT NULL DEFAULT 0,
  tokens_micros     BIGINT NOT NULL DEFAULT 0,
  embedding_tokens  BIGINT NOT NULL DEFAULT 0,
  embedding_micros  BIGINT NOT NULL DEFAULT 0,
  speech_characters BIGINT NOT NULL DEFAULT 0,
  speech_seconds    BIGINT NOT NULL DEFAULT 0,
  speech_micros     BIGINT NOT NULL DEFAULT 0,
  render_seconds    BIGINT NOT NULL DEFAULT 0, -- of one processor
  render_micros     BIGINT NOT NULL DEFAULT 0,
  warned_at         TIMESTAMPTZ, -- when the soft limit was passed
  told_at           TIMESTAMPTZ, -- when the owners were written to
  PRIMARY KEY (organization_id, month),
  CHECK (spent_micros = tokens_micros + embedding_micros + speech_micros + render_micros)
);
CREATE INDEX ledger_months_untold ON ledger_months (warned_at) WHERE warned_at IS NOT NULL AND told_at IS NULL;

-- What a job or session may still ask models, and what it was refused for want of budget.
CREATE TABLE ledger_subjects (
  organization_id TEXT NOT NULL REFERENCES organizations,
  subject         TEXT NOT NULL,
  calls_left      BIGINT NOT NULL CONSTRAINT calls_left CHECK (calls_left >= 0),
  needed_micros   BIGINT NOT NULL DEFAULT 0, -- the reservation that was refused last
  PRIMARY KEY (organization_id, subject)
);

ALTER TABLE jobs
  ADD COLUMN waiting_for TEXT NOT NULL DEFAULT '' CHECK (waiting_for IN ('', 'approval', 'budget')),
  ADD CONSTRAINT jobs_waiting_for CHECK (waiting_for = '' OR state = 'waiting');
CREATE INDEX jobs_waiting ON jobs (waiting_for) WHERE state = 'waiting';
CREATE INDEX jobs_open_kind ON jobs (organization_id, kind) WHERE state IN ('queued', 'running', 'waiting'); -- how many are at work

-- Row-level security stands behind the organization_id of every query.
-- +goose StatementBegin
DO $$
DECLARE t TEXT;
BEGIN
  FOREACH t IN ARRAY ARRAY['organizations', 'users', 'sign_ins', 'credential_revocations', 'credential_uses',
    'budgets', 'ledger', 'ledger_months', 'ledger_subjects', 'courses', 'modules', 'lessons', 'slides', 'questions', 'videos',
    'sources', 'passages', 'jobs', 'job_steps', 'deletions', 'idempotency']
  LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON %I TO lectern_tenant USING (organization_id = current_setting(''lectern.organization'', true))', t);
    EXECUTE format('CREATE POLICY system ON %I TO lectern_system USING (true)', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO lectern_tenant, lectern_system', t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['passwords', 'links', 'throttles'] -- not for tenants
  LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY system ON %I TO lectern_system USING (true)', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO lectern_system', t);
  END LOOP;
END $$;
-- +goose StatementEnd
ALTER TABLE credentials ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON credentials TO lectern_tenant USING (organization = current_setting('lectern.organization', true));
CREATE POLICY system ON credentials TO lectern_system USING (true);
GRANT SELECT (auth_id, organization, label, scopes, created_by, created_at, expires_at), INSERT ON credentials TO lectern_tenant;
GRANT SELECT, INSERT ON credentials TO lectern_system;

-- The least that each role needs. What makes or changes people is done by lectern_system.
REVOKE INSERT, UPDATE, DELETE ON organizations, budgets FROM lectern_tenant;
REVOKE DELETE ON organizations, budgets FROM lectern_system;
REVOKE INSERT, UPDATE, DELETE ON users FROM lectern_tenant;
GRANT UPDATE (name, updated_at) ON users TO lectern_tenant;
REVOKE SELECT, INSERT, UPDATE ON sign_ins FROM lectern_tenant;
GRANT SELECT (sign_in_id, user_id, organization_id, device, created_at, seen_at, expires_at), UPDATE (seen_at, expires_at) ON sign_ins TO lectern_tenant;
REVOKE UPDATE, DELETE ON credential_revocations FROM lectern_tenant, lectern_system;
REVOKE DELETE ON credential_uses FROM lectern_tenant, lectern_system;
REVOKE DELETE ON ledger, ledger_months, ledger_subjects FROM lectern_tenant, lectern_system; -- what was spent stays spent
REVOKE UPDATE ON questions, passages FROM lectern_tenant, lectern_system;                    -- they are replaced as a whole
REVOKE UPDATE, DELETE ON deletions FROM lectern_tenant;
GRANT UPDATE (cleaned_at) ON deletions TO lectern_tenant;

-- A temporary table would come before the real one on a connection that others use next.
-- +goose StatementBegin
DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$;
-- +goose StatementEnd

-- The doors in the wall: who comes with a secret is looked up by it before anybody
-- knows the organisation. They run as the tables' owner.

-- +goose StatementBegin
CREATE FUNCTION find_sign_in(token BYTEA)
RETURNS TABLE (sign_in_id TEXT, organization_id TEXT, user_id TEXT, role TEXT, seen_at TIMESTAMPTZ, expires_at TIMESTAMPTZ)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT s.sign_in_id, u.organization_id, u.user_id, u.role, s.seen_at, s.expires_at
  FROM sign_ins s JOIN users u USING (user_id)
  WHERE s.token_hash = token AND s.expires_at > now()
$$;
CREATE FUNCTION find_credential(id TEXT)
RETURNS TABLE (organization TEXT, hashed_password TEXT, scopes TEXT[], idle BOOLEAN) -- idle: its last use is to be written again
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT c.organization, c.hashed_password, c.scopes, u.used_at IS NULL OR u.used_at < now() - interval '5 minutes'
  FROM credentials c LEFT JOIN credential_uses u USING (auth_id)
  WHERE c.auth_id = id AND (c.expires_at IS NULL OR c.expires_at > now())
    AND NOT EXISTS (SELECT FROM credential_revocations r WHERE r.auth_id = c.auth_id)
$$;
-- Which of these are still let in, with the role they now have ('' for a credential).
CREATE FUNCTION still_admitted(ids TEXT[])
RETURNS TABLE (id TEXT, role TEXT)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT s.sign_in_id, u.role
  FROM sign_ins s JOIN users u USING (user_id)
  WHERE s.sign_in_id = ANY (ids) AND s.expires_at > now()
  UNION ALL
  SELECT c.auth_id, ''
  FROM credentials c
  WHERE c.auth_id = ANY (ids) AND (c.expires_at IS NULL OR c.expires_at > now())
    AND NOT EXISTS (SELECT FROM credential_revocations r WHERE r.auth_id = c.auth_id)
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION find_sign_in, find_credential, still_admitted FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_sign_in, find_credential, still_admitted TO lectern_tenant, lectern_system;
