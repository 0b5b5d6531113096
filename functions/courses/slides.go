package courses

import (
	"context"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/idempotency"
)

// content is an ordered part of a lesson: its slides or its questions.
type content[T any] struct {
	Items   []T   `json:"items"`
	Version int64 `json:"version" doc:"of the lesson"`
}

type readLesson struct {
	ByLesson
	Fresh
}

func (s *server) getSlides(ctx context.Context, in *readLesson) (*fetched[content[course.Slide]], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	slides, version, err := course.Slides(ctx, s.DB, p.Organization, in.Lesson)
	if err != nil {
		return nil, err
	}
	body := content[course.Slide]{slides, version}
	return answer(in.Fresh, version, body)
}

type setSlides struct {
	ByLesson
	Conditional
	idempotency.Keyed
	Body struct {
		Items []course.Slide `json:"items" maxItems:"40"`
	}
}

func (s *server) setSlides(ctx context.Context, in *setSlides) (*written[content[course.Slide]], error) {
	return idempotency.Write(ctx, s.DB, "set-slides", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*written[content[course.Slide]], error) {
		slides, version, err := course.ReplaceSlides(ctx, tx, p.Organization, in.Lesson, in.condition(), in.Body.Items)
		if err != nil {
			return nil, err
		}
		return saved(version, "", content[course.Slide]{slides, version})
	})
}

type updateSlide struct {
	ByLesson
	Slide string `path:"slide" maxLength:"64" example:"sld_06fz3qk8v0g1m2n4p5r6s7t8"`
	Conditional
	idempotency.Keyed
	Body edge.Patch[course.Slide]
}

func (s *server) updateSlide(ctx context.Context, in *updateSlide) (*written[course.Slide], error) {
	return idempotency.Write(ctx, s.DB, "update-slide", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*written[course.Slide], error) {
		slide, version, err := course.UpdateSlide(ctx, tx, p.Organization, in.Lesson, in.Slide, in.condition(), in.Body.Apply)
		if err != nil {
			return nil, err
		}
		return saved(version, "", slide)
	})
}

func (s *server) getQuestions(ctx context.Context, in *readLesson) (*fetched[content[course.Question]], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	questions, version, err := course.Questions(ctx, s.DB, p.Organization, in.Lesson)
	if err != nil {
		return nil, err
	}
	body := content[course.Question]{questions, version}
	return answer(in.Fresh, version, body)
}

type setQuestions struct {
	ByLesson
	Conditional
	idempotency.Keyed
	Body struct {
		Items []course.Question `json:"items" maxItems:"30"`
	}
}

func (s *server) setQuestions(ctx context.Context, in *setQuestions) (*written[content[course.Question]], error) {
	return idempotency.Write(ctx, s.DB, "set-questions", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*written[content[course.Question]], error) {
		questions, version, err := course.ReplaceQuestions(ctx, tx, p.Organization, in.Lesson, in.condition(), in.Body.Items)
		if err != nil {
			return nil, err
		}
		return saved(version, "", content[course.Question]{questions, version})
	})
}
