package authoring

import (
	"context"

	"lectern.dev/lectern/internal/source"
)

// Library is where agents look things up. source.Library is it.
type Library interface {
	// Sections lists what a course's ready sources are made of, in reading order.
	Sections(ctx context.Context, organization, course string) ([]source.Section, error)
	// Passages reads stretches of a course's sources, in the order asked for.
	Passages(ctx context.Context, organization, course string, parts []source.Part) ([]source.Passage, error)
	// ByID reads passages by their ids; those that are gone are left out.
	ByID(ctx context.Context, organization, course string, ids []string) ([]source.Passage, error)
}
