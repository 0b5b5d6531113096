-- +goose Up

CREATE TABLE organizations (
  organization_id TEXT PRIMARY KEY,
  name            TEXT NOT NULL,
  created_at      TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE users (
  user_id         TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations,
  name            TEXT NOT NULL,
  role            TEXT NOT NULL CHECK (role IN ('root', 'owner', 'author', 'learner')),
  created_at      TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- Stands in until people can sign up: account.BuiltIn.
INSERT INTO organizations (organization_id, name) VALUES ('org_local', 'Local');
INSERT INTO users (user_id, organization_id, name, role) VALUES ('user_local', 'org_local', 'Owner', 'owner');

CREATE TABLE courses (
  course_id       TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations,
  title           TEXT NOT NULL,
  summary         TEXT NOT NULL DEFAULT '',
  audience        TEXT NOT NULL DEFAULT '',
  language        TEXT NOT NULL DEFAULT 'en',
  version         BIGINT NOT NULL DEFAULT 1,
  created_by      TEXT NOT NULL,
  created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at      TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX courses_page ON courses (organization_id, created_at DESC, course_id DESC);

-- Positions are 0, 1, 2 … without gaps. Who changes the order of anything in a
-- course holds the course's row, so the deferred constraint never meets a race.
CREATE TABLE modules (
  module_id       TEXT PRIMARY KEY,
  course_id       TEXT NOT NULL REFERENCES courses ON DELETE CASCADE,
  organization_id TEXT NOT NULL REFERENCES organizations,
  title           TEXT NOT NULL,
  summary         TEXT NOT NULL DEFAULT '',
  position        BIGINT NOT NULL CHECK (position >= 0),
  version         BIGINT NOT NULL DEFAULT 1,
  CONSTRAINT modules_position UNIQUE (course_id, position) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE lessons (
  lesson_id       TEXT PRIMARY KEY,
  module_id       TEXT NOT NULL REFERENCES modules ON DELETE CASCADE,
  course_id       TEXT NOT NULL REFERENCES courses ON DELETE CASCADE,
  organization_id TEXT NOT NULL REFERENCES organizations,
  title           TEXT NOT NULL,
  objectives      JSONB NOT NULL DEFAULT '[]',
  article         TEXT NOT NULL DEFAULT '',
  citations       JSONB NOT NULL DEFAULT '[]',
  position        BIGINT NOT NULL CHECK (position >= 0),
  version         BIGINT NOT NULL DEFAULT 1,
  created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT lessons_position UNIQUE (module_id, position) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX lessons_course ON lessons (course_id);

CREATE TABLE slides (
  slide_id        TEXT PRIMARY KEY,
  lesson_id       TEXT NOT NULL REFERENCES lessons ON DELETE CASCADE,
  organization_id TEXT NOT NULL REFERENCES organizations,
  position        BIGINT NOT NULL CHECK (position >= 0),
  kind            TEXT NOT NULL CHECK (kind IN ('points', 'code', 'table', 'quote')),
  body            JSONB NOT NULL, -- course.Slide without id and kind
  CONSTRAINT slides_position UNIQUE (lesson_id, position) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE questions (
  question_id     TEXT PRIMARY KEY,
  lesson_id       TEXT NOT NULL REFERENCES lessons ON DELETE CASCADE,
  organization_id TEXT NOT NULL REFERENCES organizations,
  position        BIGINT NOT NULL CHECK (position >= 0),
  body            JSONB NOT NULL, -- course.Question without id
  CONSTRAINT questions_position UNIQUE (lesson_id, position) DEFERRABLE INITIALLY DEFERRED
);

-- A row per lesson and content: the manifest of a video. It is written before the
-- film is uploaded; only finalize (or the sweep in its stead) makes it ready.
CREATE TABLE videos (
  lesson_id       TEXT NOT NULL REFERENCES lessons ON DELETE CASCADE,
  content         TEXT NOT NULL, -- film.ContentKey of the script
  course_id       TEXT NOT NULL,
  organization_id TEXT NOT NULL REFERENCES organizations,
  state           TEXT NOT NULL CHECK (state IN ('rendering', 'ready', 'failed')), -- what is queued, job_steps know
  attempt         BIGINT NOT NULL DEFAULT 0, -- the render attempt that may publish
  folder          TEXT NOT NULL DEFAULT '',  -- key prefix of its objects in the bucket
  generation      BIGINT NOT NULL DEFAULT 0, -- of the film's object; 0 until ready
  bytes           BIGINT NOT NULL DEFAULT 0,
  manifest        JSONB NOT NULL DEFAULT '{}', -- duration, chapters, transcript
  lesson_version  BIGINT NOT NULL,
  created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (lesson_id, content),
  CHECK ((state = 'ready') = (generation > 0))
);

CREATE TABLE sources (
  source_id       TEXT PRIMARY KEY,
  course_id       TEXT NOT NULL REFERENCES courses ON DELETE CASCADE,
  organization_id TEXT NOT NULL REFERENCES organizations,
  name            TEXT NOT NULL,
  content_type    TEXT NOT NULL,
  size            BIGINT NOT NULL CHECK (size > 0),
  state           TEXT NOT NULL CHECK (state IN ('uploading', 'queued', 'ready', 'failed')), -- whether it is being read, its job knows
  reason          TEXT NOT NULL DEFAULT '', -- why it failed, for people
  object          TEXT NOT NULL,            -- key of the upload in the bucket
  generation      BIGINT NOT NULL DEFAULT 0,
  title           TEXT NOT NULL DEFAULT '',
  language        TEXT NOT NULL DEFAULT '',
  pages           BIGINT NOT NULL DEFAULT 0, -- 0: the format has none
  characters      BIGINT NOT NULL DEFAULT 0,
  created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at      TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX sources_course ON sources (course_id);

CREATE TABLE passages (
  passage_id      TEXT PRIMARY KEY,
  source_id       TEXT NOT NULL REFERENCES sources ON DELETE CASCADE,
  course_id       TEXT NOT NULL,
  organization_id TEXT NOT NULL REFERENCES organizations,
  position        BIGINT NOT NULL,
  kind            TEXT NOT NULL CHECK (kind IN ('prose', 'list', 'code', 'table', 'quote')),
  code_language   TEXT NOT NULL DEFAULT '', -- as a Markdown fence names it; '' when unknown
  heading         TEXT[] NOT NULL,  -- path from the document's top
  page            BIGINT NOT NULL,  -- 0: the format has none
  start_offset    BIGINT NOT NULL,  -- code points in the source's text
  end_offset      BIGINT NOT NULL,
  text            TEXT NOT NULL,
  words           BIGINT NOT NULL,
  configuration   REGCONFIG NOT NULL DEFAULT 'simple',
  lexemes         TSVECTOR NOT NULL,
  UNIQUE (source_id, position)
);
CREATE INDEX passages_lexemes ON passages USING gin (lexemes);
CREATE INDEX passages_course ON passages (course_id, source_id, position);

CREATE TABLE jobs (
  job_id          TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations,
  kind            TEXT NOT NULL CHECK (kind IN ('generate', 'ingest', 'render')),
  subject         TEXT NOT NULL, -- the course, source or lesson it works on
  course_id       TEXT NOT NULL, -- the course it belongs to
  content         TEXT NOT NULL, -- hash of what the work is made from
  state           TEXT NOT NULL CHECK (state IN ('queued', 'running', 'waiting', 'succeeded', 'failed', 'canceled')),
  version         BIGINT NOT NULL DEFAULT 1,
  done            BIGINT NOT NULL DEFAULT 0,
  total           BIGINT NOT NULL DEFAULT 0,
  message         TEXT NOT NULL DEFAULT '', -- what happens now, for people
  error           TEXT NOT NULL DEFAULT '', -- why it failed, for people
  input           JSONB NOT NULL DEFAULT '{}',
  created_by      TEXT NOT NULL,
  created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
  started_at      TIMESTAMPTZ,
  finished_at     TIMESTAMPTZ,
  shown_at        TIMESTAMPTZ NOT NULL DEFAULT '-infinity', -- last progress write: at most one a second
  shown_version   BIGINT NOT NULL DEFAULT 0, -- what that write showed; -1: taken down
  done_before     BIGINT NOT NULL DEFAULT 0, -- units done when it was last started: the pace counts from there
  CHECK ((finished_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'canceled')))
);
-- A double click finds the open job instead of making another.
CREATE UNIQUE INDEX jobs_open ON jobs (kind, subject, content) WHERE state IN ('queued', 'running', 'waiting');
CREATE UNIQUE INDEX jobs_open_generation ON jobs (subject) WHERE kind = 'generate' AND state IN ('queued', 'running', 'waiting');
CREATE INDEX jobs_course ON jobs (course_id, created_at DESC);
CREATE INDEX jobs_shown ON jobs (finished_at) WHERE shown_version >= 0; -- ended, still on the board

CREATE TABLE job_steps (
  job_id          TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
  name            TEXT NOT NULL, -- unique in the job: "plan", "write/les_…"
  organization_id TEXT NOT NULL REFERENCES organizations,
  kind            TEXT NOT NULL, -- "plan", "write", "examine", "review", "ingest", "render"
  subject         TEXT NOT NULL DEFAULT '',
  content         TEXT NOT NULL DEFAULT '',
  state           TEXT NOT NULL CHECK (state IN ('blocked', 'queued', 'running', 'delivered', 'succeeded', 'failed', 'canceled')),
  needs           TEXT[] NOT NULL DEFAULT '{}', -- names of the steps that come first
  attempt         BIGINT NOT NULL DEFAULT 0,    -- fencing number: rises with every claim
  failures        BIGINT NOT NULL DEFAULT 0,    -- attempts that ended in an error since the last resume
  sends           BIGINT NOT NULL DEFAULT 0,    -- tasks enqueued for it: part of the task's name
  sent            BIGINT NOT NULL DEFAULT -1,   -- the last of them that the queue has accepted
  done            BIGINT NOT NULL DEFAULT 0,    -- units of work
  units           BIGINT NOT NULL DEFAULT 1,
  lease_until     TIMESTAMPTZ,                  -- while running; delivered: when the sweep looks after it
  input           JSONB NOT NULL DEFAULT '{}',
  output          JSONB NOT NULL DEFAULT '{}',
  error           TEXT NOT NULL DEFAULT '',
  changed_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
  started_at      TIMESTAMPTZ,
  PRIMARY KEY (job_id, name),
  CHECK ((lease_until IS NOT NULL) = (state IN ('running', 'delivered')))
);
CREATE UNIQUE INDEX job_steps_open_render ON job_steps (subject, content)
  WHERE kind = 'render' AND state IN ('blocked', 'queued', 'running', 'delivered');
CREATE INDEX job_steps_due ON job_steps (state, changed_at) WHERE state IN ('queued', 'running', 'delivered');

-- What was deleted and is still to be removed from the bucket: the intent, written
-- in the transaction that deletes the rows.
CREATE TABLE deletions (
  prefix          TEXT PRIMARY KEY, -- of the objects' keys; ends in "/"
  organization_id TEXT NOT NULL REFERENCES organizations,
  created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
  cleaned_at      TIMESTAMPTZ       -- the last time that nothing was left
);

-- Answers to writes that carried an Idempotency-Key, kept for a day.
CREATE TABLE idempotency (
  organization_id TEXT NOT NULL REFERENCES organizations,
  user_id         TEXT NOT NULL,
  operation       TEXT NOT NULL, -- operationId in the OpenAPI document
  key             TEXT NOT NULL,
  request         BYTEA NOT NULL, -- SHA-256 of the request
  response        JSONB,          -- headers and body; null until there is an answer
  created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (organization_id, user_id, operation, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);
