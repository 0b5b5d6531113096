-- +goose Up

-- The request that a job or an upload began with, and the span that it began in: what the
-- sweep makes good, and events that carry nothing of ours, go on under the same request id
-- and in the same trace.
ALTER TABLE jobs ADD COLUMN IF NOT EXISTS trail TEXT NOT NULL DEFAULT '';
ALTER TABLE sources ADD COLUMN IF NOT EXISTS trail TEXT NOT NULL DEFAULT '';
