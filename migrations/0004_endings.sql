-- +goose Up

-- How an answer is to be written, as was asked for: whoever goes on with it keeps to it.
ALTER TABLE messages
  ADD COLUMN max_tokens BIGINT CHECK (max_tokens > 0), -- of the answer; null: the tutor's own bound
  ADD COLUMN manner     JSON;                          -- further wishes to the model, such as its temperature

-- An answer whose process died left no checkpoint: now every ended one has its own.
INSERT INTO checkpoints (session_id, checkpoint_id, organization_id, parent_id, message_id, task_id, model, prompt_version, created_at)
WITH RECURSIVE walk AS (
  SELECT m.session_id, m.message_id, m.parent_id AS behind, NULL::text AS checkpoint_id
  FROM messages m
  WHERE m.role = 'assistant' AND m.state <> 'streaming'
    AND NOT EXISTS (SELECT FROM checkpoints c WHERE c.session_id = m.session_id AND c.message_id = m.message_id)
  UNION ALL
  SELECT w.session_id, w.message_id, m.parent_id,
    CASE WHEN m.role = 'assistant' THEN coalesce(
      (SELECT c.checkpoint_id FROM checkpoints c WHERE c.session_id = m.session_id AND c.message_id = m.message_id),
      'ckp_' || substr(m.message_id, 5)) END -- the one that it gets here, too
  FROM walk w
  JOIN messages m ON m.session_id = w.session_id AND m.message_id = w.behind
  WHERE w.checkpoint_id IS NULL)
SELECT m.session_id, 'ckp_' || substr(m.message_id, 5), m.organization_id, max(w.checkpoint_id), m.message_id, m.task_id, coalesce(m.model, ''), '', m.finished_at
FROM walk w
JOIN messages m USING (session_id, message_id)
GROUP BY m.session_id, m.message_id;
