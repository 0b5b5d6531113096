-- +goose Up

-- Since when a step could be worked on. changed_at does not tell: the sweep renews it
-- whenever it sends a lost task again, so that by it nothing ever waited long.
ALTER TABLE job_steps ADD COLUMN IF NOT EXISTS due_at TIMESTAMPTZ NOT NULL DEFAULT now();

-- What a job has come to is told when it ends. Sessions, whose turns are most of the
-- ledger, are not asked about.
CREATE INDEX IF NOT EXISTS ledger_jobs ON ledger (organization_id, subject) WHERE subject LIKE 'job\_%';
