package courses

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/idempotency"
)

type ByCourse struct {
	Course string `path:"course" maxLength:"64" example:"crs_06fz3qk8v0g1m2n4p5r6s7t8"`
}

func (s *server) listCourses(ctx context.Context, in *edge.Page) (*edge.Listed[course.Course], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	return edge.Listing(course.List(ctx, s.DB, p.Organization, in.Cursor, in.Limit))
}

type createCourse struct {
	idempotency.Keyed
	Body course.Fields
}

func (s *server) createCourse(ctx context.Context, in *createCourse) (*written[course.Course], error) {
	return idempotency.Write(ctx, s.DB, "create-course", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*written[course.Course], error) {
		c, err := course.Create(ctx, tx, p.Organization, p.User, in.Body)
		if err != nil {
			return nil, err
		}
		return saved(c.Version, "/v1/courses/"+c.ID, c)
	})
}

func (s *server) getCourse(ctx context.Context, in *struct {
	ByCourse
	Fresh
},
) (*fetched[course.Course], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	c, err := course.Get(ctx, s.DB, p.Organization, in.Course)
	if err != nil {
		return nil, err
	}
	return answer(in.Fresh, c.Version, c)
}

type updateCourse struct {
	ByCourse
	Conditional
	idempotency.Keyed
	Body edge.Patch[course.Fields]
}

func (s *server) updateCourse(ctx context.Context, in *updateCourse) (*written[course.Course], error) {
	return idempotency.Write(ctx, s.DB, "update-course", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*written[course.Course], error) {
		c, err := course.Update(ctx, tx, p.Organization, in.Course, in.condition(), in.Body.Apply)
		if err != nil {
			return nil, err
		}
		return saved(c.Version, "", c)
	})
}

type setOutline struct {
	ByCourse
	Conditional
	idempotency.Keyed
	Body course.Order
}

func (s *server) setOutline(ctx context.Context, in *setOutline) (*written[course.Course], error) {
	return idempotency.Write(ctx, s.DB, "set-outline", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*written[course.Course], error) {
		c, err := course.Reorder(ctx, tx, p.Organization, in.Course, in.condition(), in.Body)
		if err != nil {
			return nil, err
		}
		return saved(c.Version, "", c)
	})
}

type deleteCourse struct {
	ByCourse
	Conditional
	idempotency.Keyed
}

func (s *server) deleteCourse(ctx context.Context, in *deleteCourse) (*struct{}, error) {
	out, err := idempotency.Write(ctx, s.DB, "delete-course", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*struct{}, error) {
		return &struct{}{}, course.Delete(ctx, tx, p.Organization, in.Course, in.condition())
	})
	return out, s.cleaned(ctx, err)
}

// cleaned tries at once to remove from the bucket what has just been deleted; what
// fails here the sweep does.
func (s *server) cleaned(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	if _, err := course.Clean(ctx, s.DB, s.Bucket); err != nil {
		slog.WarnContext(ctx, "objects left to the sweep", "error", err)
	}
	return nil
}
