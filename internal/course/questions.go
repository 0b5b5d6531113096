package course

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/id"
	"lectern.dev/lectern/internal/postgres"
)

// questionBody is what the body column holds: a question without its id.
type questionBody struct {
	Prompt      string     `json:"prompt"`
	Choices     []string   `json:"choices"`
	Key         int        `json:"key"`
	Explanation string     `json:"explanation"`
	Evidence    []Evidence `json:"evidence"`
}

// Questions reads a lesson's questions in order and the lesson's version, which is
// theirs too: two queries in one round trip.
func Questions(ctx context.Context, q postgres.Querier, organization, lesson string) (questions []Question, version int64, err error) {
	version, err = withVersion(ctx, q, organization, lesson, selectQuestions, func(rows pgx.Rows) (err error) {
		questions, err = pgx.CollectRows(rows, scanQuestion)
		return err
	})
	return filled(questions), version, err
}

const selectQuestions = `
	SELECT question_id, body
	FROM questions
	WHERE organization_id = $1 AND lesson_id = $2
	ORDER BY position`

func scanQuestion(row pgx.CollectableRow) (Question, error) {
	var question string
	var b questionBody
	err := row.Scan(&question, &b)
	return Question{question, b.Prompt, b.Choices, b.Key, b.Explanation, b.Evidence}, err
}

func readQuestions(ctx context.Context, q postgres.Querier, organization, lesson string) ([]Question, error) {
	rows, err := q.Query(ctx, selectQuestions, organization, lesson)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	questions, err := pgx.CollectRows(rows, scanQuestion)
	return questions, postgres.Fault(err)
}

// ReplaceQuestions puts a whole list of questions in the place of another, in a
// transaction. A question that names its id keeps it; one without gets one.
func ReplaceQuestions(ctx context.Context, tx postgres.Querier, organization, lesson string, when Condition, questions []Question) ([]Question, int64, error) {
	if _, err := lockLesson(ctx, tx, organization, lesson, when); err != nil {
		return nil, 0, err
	}
	present, err := readQuestions(ctx, tx, organization, lesson)
	if err != nil {
		return nil, 0, err
	}
	known := map[string]bool{}
	for _, q := range present {
		known[q.ID] = true
	}
	questions = slices.Clone(questions) // the caller's keep no new ids: the transaction may have to run again
	var f findings
	f.count("questions", len(questions), MaxQuestions)
	for i := range questions {
		at := fmt.Sprintf("questions[%d].", i)
		questions[i].check(&f, at)
		questions[i].ID = keepID(&f, at, id.Question, questions[i].ID, known)
	}
	if err := f.err(); err != nil {
		return nil, 0, err
	}
	if err := writeQuestions(ctx, tx, organization, lesson, questions); err != nil {
		return nil, 0, err
	}
	version, err := touch(ctx, tx, organization, lesson)
	return filled(questions), version, err
}

func writeQuestions(ctx context.Context, tx postgres.Querier, organization, lesson string, questions []Question) error {
	ids, bodies := make([]string, len(questions)), make([]string, len(questions))
	for i, q := range questions {
		b, err := json.Marshal(questionBody{q.Prompt, q.Choices, q.Key, q.Explanation, q.Evidence})
		if err != nil {
			return err
		}
		ids[i], bodies[i] = q.ID, string(b)
	}
	_, err := tx.Exec(ctx, `DELETE FROM questions WHERE organization_id = $1 AND lesson_id = $2`, organization, lesson)
	if err != nil {
		return postgres.Fault(err)
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO questions (question_id, lesson_id, organization_id, position, body)
		SELECT q.id, $2, $1, q.place - 1, q.body::jsonb
		FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS q (id, body, place)`,
		organization, lesson, ids, bodies)
	return postgres.Fault(err)
}
