package authoring

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/source"
)

// Brief says what course is wanted.
type Brief struct {
	Title    string `json:"title,omitempty" maxLength:"200" doc:"the course's title; absent: the title the course has"`
	Audience string `json:"audience,omitempty" maxLength:"500" doc:"whom it is for" example:"administrators who are new to Debian"`
	Language string `json:"language,omitempty" maxLength:"35" doc:"BCP 47 tag; absent: the language of the sources"`
	Lessons  int    `json:"lessons,omitempty" minimum:"0" maximum:"30" doc:"how many; 0: what the sources suggest"`
	// TitleFromSource lets the sources give the course its title when Title is empty.
	TitleFromSource bool `json:"title_from_source,omitempty" doc:"let the sources give the course its title"`
}

// MaxLessons is how many lessons one generation may have.
const MaxLessons = 30

var languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

func (b Brief) check() error {
	var wrong []fault.Field
	add := func(field, format string, args ...any) {
		wrong = append(wrong, fault.Field{Location: "body." + field, Message: fmt.Sprintf(format, args...)})
	}
	for _, text := range []struct {
		name, value string
		most        int
	}{{"title", b.Title, 200}, {"audience", b.Audience, 500}} {
		if n := utf8.RuneCountInString(text.value); n > text.most {
			add(text.name, "has %d characters; at most %d are taken", n, text.most)
		}
		if !utf8.ValidString(text.value) || strings.ContainsRune(text.value, 0) {
			add(text.name, "holds characters that cannot be stored")
		}
	}
	if b.Language != "" && (len(b.Language) > 35 || !languageTag.MatchString(b.Language)) {
		add("language", "is not a language tag such as en or pt-BR")
	}
	if b.Lessons < 0 || b.Lessons > MaxLessons {
		add("lessons", "must be between 1 and %d, or 0 to let the sources decide", MaxLessons)
	}
	if len(wrong) == 0 {
		return nil
	}
	e := fault.New(fault.Invalid, "The %s %s.", strings.TrimPrefix(wrong[0].Location, "body."), wrong[0].Message)
	e.Fields = wrong
	return e
}

// StartGeneration makes the job that writes a course, or finds it: the same brief
// on the same sources gives the same job, whether it is still at work (a double
// click) or has succeeded. Sources that are still being read are a Conflict, as is
// another generation at work on the course.
func StartGeneration(ctx context.Context, runner *job.Runner, p account.Principal, courseID string, b Brief) (job.Job, error) {
	if err := b.check(); err != nil {
		return job.Job{}, err
	}
	var started job.Job
	err := postgres.InTx(ctx, runner.DB, func(tx pgx.Tx) error {
		c, err := course.Get(ctx, tx, p.Organization, courseID)
		if err != nil {
			return err
		}
		brief := b
		if brief.Title == "" && !brief.TitleFromSource {
			brief.Title = c.Title
		}
		if brief.Audience == "" {
			brief.Audience = c.Audience
		}
		sources, err := readySources(ctx, tx, p.Organization, courseID)
		if err != nil {
			return err
		}
		content := contentOf(brief, sources)
		if len(c.Modules) > 0 {
			if started, err = finished(ctx, tx, p.Organization, courseID, content); err == nil || !fault.Is(err, fault.NotFound) {
				return err
			}
		}
		started, _, err = job.Start(ctx, tx, job.NewJob{
			Organization: p.Organization, User: p.User,
			Kind: job.Generate, Subject: courseID, CourseID: courseID, Content: content,
			Message: "Waiting for the planner", Input: brief,
			Steps: []job.NewStep{{Name: planStep, Kind: planStep, Subject: courseID}},
			Admit: runner.Admit,
		})
		return err
	})
	if err != nil {
		return job.Job{}, err
	}
	return started, runner.Dispatch(ctx, p.Organization, started.ID)
}

// contentOf addresses a generation: the brief and the sources it is made from.
func contentOf(b Brief, sources []string) string {
	text, err := json.Marshal([]any{b, sources})
	if err != nil {
		panic(err) // strings and numbers
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// readySources lists the sources of a course, or says why they cannot be used yet.
func readySources(ctx context.Context, q postgres.Querier, organization, courseID string) ([]string, error) {
	all, err := source.List(ctx, q, organization, courseID)
	if err != nil {
		return nil, err
	}
	var ready []string
	for _, s := range all {
		switch s.State {
		case source.Ready:
			ready = append(ready, fmt.Sprintf("%s/%d", s.ID, s.Generation))
		case source.Failed:
		default:
			return nil, fault.New(fault.Conflict, "The source “%s” is not read yet. Wait until it is ready, or delete it.", s.Name)
		}
	}
	if len(ready) == 0 && len(all) > 0 {
		return nil, fault.New(fault.Conflict, "The source “%s” could not be read: %s Add another one.", all[0].Name, all[0].Reason)
	}
	return ready, nil
}

// finished finds the job that has written this course already.
func finished(ctx context.Context, q postgres.Querier, organization, courseID, content string) (job.Job, error) {
	var id string
	err := q.QueryRow(ctx, `
		SELECT job_id
		FROM jobs
		WHERE organization_id = $1 AND kind = 'generate' AND subject = $2 AND content = $3 AND state = 'succeeded'
		ORDER BY created_at DESC
		LIMIT 1`, organization, courseID, content).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return job.Job{}, fault.New(fault.NotFound, "This course was not written from this brief yet.")
	}
	if err != nil {
		return job.Job{}, postgres.Fault(err)
	}
	return job.Get(ctx, q, organization, id)
}
