-- +goose Up

-- Every request asks one of these. As SQL functions they were planned anew each time,
-- which took longer than to run them: PL/pgSQL keeps its plans for the connection.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION find_sign_in(token BYTEA)
RETURNS TABLE (sign_in_id TEXT, organization_id TEXT, user_id TEXT, role TEXT, seen_at TIMESTAMPTZ, expires_at TIMESTAMPTZ)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT s.sign_in_id, u.organization_id, u.user_id, u.role, s.seen_at, s.expires_at
    FROM sign_ins s JOIN users u USING (user_id)
    WHERE s.token_hash = token AND s.expires_at > now();
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION find_credential(id TEXT)
RETURNS TABLE (organization TEXT, hashed_password TEXT, scopes TEXT[], idle BOOLEAN) -- idle: its last use is to be written again
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT c.organization, c.hashed_password, c.scopes, u.used_at IS NULL OR u.used_at < now() - interval '5 minutes'
    FROM credentials c LEFT JOIN credential_uses u USING (auth_id)
    WHERE c.auth_id = id AND (c.expires_at IS NULL OR c.expires_at > now())
      AND NOT EXISTS (SELECT FROM credential_revocations r WHERE r.auth_id = c.auth_id);
END $$;
-- +goose StatementEnd

-- What an organization may spend this month, where usual is what one may that has no
-- limit of its own, and what of it is neither spent nor reserved. It becomes a part of
-- the statement that asks it, and sees what who asks may see.
CREATE FUNCTION budget_of(organization TEXT, usual BIGINT)
RETURNS TABLE (hard_micros BIGINT, left_micros BIGINT)
LANGUAGE sql STABLE AS $$
  SELECT l.hard, l.hard - coalesce(m.spent_micros + m.reserved_micros, 0)
  FROM (SELECT coalesce((SELECT b.hard_micros FROM budgets b WHERE b.organization_id = organization), usual) AS hard) l
  LEFT JOIN ledger_months m ON m.organization_id = organization AND m.month = date_trunc('month', now() AT TIME ZONE 'UTC')::date
$$;
