package courses

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/idempotency"
)

type ByModule struct {
	Module string `path:"module" maxLength:"64" example:"mod_06fz3qk8v0g1m2n4p5r6s7t8"`
}

type createModule struct {
	ByCourse
	idempotency.Keyed
	Body course.ModuleFields
}

func (s *server) createModule(ctx context.Context, in *createModule) (*written[course.Module], error) {
	return idempotency.Write(ctx, s.DB, "create-module", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*written[course.Module], error) {
		m, err := course.CreateModule(ctx, tx, p.Organization, in.Course, in.Body)
		if err != nil {
			return nil, err
		}
		return saved(m.Version, "/v1/courses/"+m.CourseID, m)
	})
}

type updateModule struct {
	ByModule
	Conditional
	idempotency.Keyed
	Body edge.Patch[course.ModuleFields]
}

func (s *server) updateModule(ctx context.Context, in *updateModule) (*written[course.Module], error) {
	return idempotency.Write(ctx, s.DB, "update-module", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*written[course.Module], error) {
		m, err := course.UpdateModule(ctx, tx, p.Organization, in.Module, in.condition(), in.Body.Apply)
		if err != nil {
			return nil, err
		}
		return saved(m.Version, "", m)
	})
}

type deleteModule struct {
	ByModule
	Conditional
	idempotency.Keyed
}

func (s *server) deleteModule(ctx context.Context, in *deleteModule) (*struct{}, error) {
	out, err := idempotency.Write(ctx, s.DB, "delete-module", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*struct{}, error) {
		return &struct{}{}, course.DeleteModule(ctx, tx, p.Organization, in.Module, in.condition())
	})
	return out, s.cleaned(ctx, err)
}
