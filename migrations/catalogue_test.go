package migrations_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// object is one thing of a schema: a table, a column, a right …
type object struct{ Kind, Table, Name, Detail string }

func (o object) String() string {
	return fmt.Sprintf("%s %s %s: %s", o.Kind, o.Table, o.Name, o.Detail)
}

// catalogue is everything that a migration can make, in one order, with how many rows
// each table has and what goose has noted.
func catalogue(t *testing.T, db *pgxpool.Pool) []object {
	t.Helper()
	rows, err := db.Query(context.Background(), `
		WITH ours AS (
			SELECT * FROM pg_class c WHERE relnamespace = 'public'::regnamespace)
		SELECT 'table' AS kind, relname::text AS "table", '' AS name,
			concat_ws(' ', relkind, relpersistence, CASE WHEN relrowsecurity THEN 'walled' END, CASE WHEN relforcerowsecurity THEN 'forced' END, relowner::regrole) AS detail
		FROM ours WHERE relkind IN ('r', 'p', 'v', 'm', 'S')
		UNION ALL
		SELECT 'column', relname, attname,
			concat_ws(' ', format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'not null' END, CASE WHEN attidentity <> '' THEN 'identity ' || attidentity::text END,
				CASE WHEN attgenerated <> '' THEN 'generated' END, 'default ' || pg_get_expr(adbin, adrelid))
		FROM ours JOIN pg_attribute ON attrelid = ours.oid AND attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p')
			LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
		UNION ALL
		SELECT 'constraint', relname, conname,
			concat_ws(' ', pg_get_constraintdef(k.oid), CASE WHEN NOT convalidated THEN 'not validated' END,
				'on ' || (SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)))
		FROM pg_constraint k JOIN ours ON ours.oid = conrelid
		UNION ALL
		SELECT 'index', t.relname, i.relname,
			concat_ws(' ', pg_get_indexdef(indexrelid), CASE WHEN NOT indisvalid OR NOT indisready THEN 'not valid' END, CASE WHEN indisunique THEN
				'on ' || (SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute WHERE attrelid = indrelid AND attnum = ANY (indkey)) END)
		FROM pg_index JOIN ours i ON i.oid = indexrelid JOIN pg_class t ON t.oid = indrelid
		UNION ALL
		SELECT 'function', '', p.oid::regprocedure::text, concat_ws(' ', pg_get_function_result(p.oid), pg_get_functiondef(p.oid), proowner::regrole)
		FROM pg_proc p WHERE pronamespace = 'public'::regnamespace
		UNION ALL
		SELECT 'trigger', relname, tgname, concat_ws(' ', pg_get_triggerdef(g.oid), tgenabled)
		FROM pg_trigger g JOIN ours ON ours.oid = tgrelid WHERE NOT tgisinternal
		UNION ALL
		SELECT 'policy', relname, polname,
			concat_ws(' ', polcmd, polpermissive, polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
		FROM pg_policy JOIN ours ON ours.oid = polrelid
		UNION ALL
		SELECT 'right', relname, grantee::regrole::text || ' ' || privilege_type, is_grantable::text
		FROM ours, aclexplode(relacl)
		UNION ALL
		SELECT 'right', relname || '.' || attname, grantee::regrole::text || ' ' || privilege_type, is_grantable::text
		FROM ours JOIN pg_attribute ON attrelid = ours.oid, aclexplode(attacl)
		UNION ALL
		SELECT 'right', '', p.oid::regprocedure::text || ' ' || grantee::regrole || ' ' || privilege_type, is_grantable::text
		FROM pg_proc p, aclexplode(proacl) WHERE pronamespace = 'public'::regnamespace
		UNION ALL
		SELECT 'right', 'the database', grantee::regrole::text || ' ' || privilege_type, is_grantable::text
		FROM pg_database, aclexplode(datacl) WHERE datname = current_database()
		UNION ALL
		SELECT 'type', '', typname, concat_ws(' ', typtype, (SELECT string_agg(enumlabel, ' ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = y.oid))
		FROM pg_type y WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
		ORDER BY kind, "table", name, detail`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[object])
	if err != nil {
		t.Fatal(err)
	}
	var versions string
	err = db.QueryRow(context.Background(), `
		SELECT coalesce(string_agg(version_id || ' ' || is_applied, ', ' ORDER BY version_id), '') FROM goose_db_version`).Scan(&versions)
	if err != nil {
		t.Fatal(err)
	}
	return append(all, object{Kind: "goose", Detail: versions})
}
