package courses

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
)

// Page asks for a part of a list.
type Page struct {
	Cursor string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"how many at most"`
}

// list is how every list is answered.
type list[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor,omitempty" doc:"cursor of the next page; absent on the last one"`
}

type ByCourse struct {
	Course string `path:"course" maxLength:"64" example:"crs_06fz3qk8v0g1m2n4p5r6s7t8"`
}

func (s *server) listCourses(ctx context.Context, in *Page) (*struct{ Body list[course.Course] }, error) {
	p, err := who(ctx)
	if err != nil {
		return nil, err
	}
	courses, next, err := course.List(ctx, s.DB, p.Organization, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return &struct{ Body list[course.Course] }{list[course.Course]{append([]course.Course{}, courses...), next}}, nil
}

type createCourse struct {
	Keyed
	Body course.Fields
}

func (s *server) createCourse(ctx context.Context, in *createCourse) (*written[course.Course], error) {
	return write(ctx, s, "create-course", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*written[course.Course], error) {
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
	p, err := who(ctx)
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
	Keyed
	Body edge.Patch[course.Fields]
}

func (s *server) updateCourse(ctx context.Context, in *updateCourse) (*written[course.Course], error) {
	return write(ctx, s, "update-course", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*written[course.Course], error) {
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
	Keyed
	Body course.Order
}

func (s *server) setOutline(ctx context.Context, in *setOutline) (*written[course.Course], error) {
	return write(ctx, s, "set-outline", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*written[course.Course], error) {
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
	Keyed
}

func (s *server) deleteCourse(ctx context.Context, in *deleteCourse) (*nothing, error) {
	out, err := write(ctx, s, "delete-course", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*nothing, error) {
		return &nothing{}, course.Delete(ctx, tx, p.Organization, in.Course, in.condition())
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
