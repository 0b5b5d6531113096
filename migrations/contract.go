package migrations

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/pressly/goose/v3"
)

// firstRelease is the newest migration that the first release had: before it nobody was
// ever served.
const firstRelease = 7

// contractOf is how a migration says that it takes away what an earlier one replaced.
var contractOf = regexp.MustCompile(`(?m)^-- contract of (\d{4})\b`)

// refuseHaste lets nothing be taken away in the release that brings its replacement: the
// binaries that serve at this moment know the old only.
func refuseHaste(ctx context.Context, db *sql.DB, provider *goose.Provider, files fs.FS) error {
	replaced := map[int64]int64{} // by contract
	for _, source := range provider.ListSources() {
		of, err := contract(files, source.Path)
		if err != nil {
			return err
		}
		if of > 0 {
			replaced[source.Version] = of
		}
	}
	if len(replaced) == 0 {
		return nil
	}
	version, err := provider.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the database's version: %w", err)
	}
	serves, err := served(ctx, db, version)
	if err != nil || !serves {
		return err
	}
	for _, by := range slices.Sorted(maps.Keys(replaced)) {
		if of := replaced[by]; of > version {
			return fmt.Errorf("%04d takes away what %04d replaces, and this database has neither: release a commit that has %04d and not %04d first, let it serve, and come again", by, of, of, by)
		}
	}
	return nil
}

// contract gives the number of the migration whose old side a file takes away; 0: it
// takes nothing away.
func contract(files fs.FS, name string) (int64, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return 0, err
	}
	match := contractOf.FindSubmatch(text)
	if match == nil {
		return 0, nil
	}
	return strconv.ParseInt(string(match[1]), 10, 64)
}

// served tells whether anybody works with the database: one whose first migration was
// interrupted has no organisation yet.
func served(ctx context.Context, db *sql.DB, version int64) (yes bool, err error) {
	if version < firstRelease {
		return false, nil
	}
	err = db.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM organizations)`).Scan(&yes)
	return yes, err
}
