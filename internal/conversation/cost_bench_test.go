package conversation

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// turnsMeasured are the turns of a session whose cost is shown: it is to be the same.
var turnsMeasured = []int{1, 100, 1000}

// BenchmarkTurn tells what a turn of 2,000 characters leaves in the database: here, and
// with LangGraph's Postgres checkpointer on the same server, which keeps the messages
// of all turns anew with each.
func BenchmarkTurn(b *testing.B) {
	for _, turn := range turnsMeasured {
		b.Run(fmt.Sprintf("lectern/turn-%d", turn), func(b *testing.B) { benchmarkOurs(b, turn) })
	}
	for _, turn := range turnsMeasured {
		b.Run(fmt.Sprintf("langgraph/turn-%d", turn), func(b *testing.B) { benchmarkLangGraph(b, turn) })
	}
}

func benchmarkOurs(b *testing.B, turn int) {
	s := newShelf(b)
	if err := ensureTasks(as(b, ann), s.db, ann.Organization); err != nil {
		b.Fatal(err)
	}
	db := s.one(b)
	s.turn(b, db, s.session(b, ann).ID)
	session := s.session(b, ann)
	s.fill(b, session.ID, turn-1)
	if _, err := s.pool.Exec(b.Context(), `ANALYZE`); err != nil { // as the database does by itself, later
		b.Fatal(err)
	}
	var words [256]string
	for i := range words {
		words[i] = fmt.Sprintf("%s%d ", strings.Fields(someAnswer)[i%17], rand.IntN(1000))
	}
	text := func(length int) string {
		var t strings.Builder
		for t.Len() < length {
			t.WriteString(words[rand.IntN(len(words))])
		}
		return t.String()[:length]
	}
	const wal = `SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint`
	bytes := s.number(b, sizeOfSession, session.ID)
	from := s.settled(b, db)
	before := s.number(b, wal)
	ctx := as(b, ann)
	turns := int64(0)
	for b.Loop() {
		t, err := open(ctx, db, ann, session.ID, Prompt{Content: text(300)}, testProducer, Limits{AnswersPerUser: 5, AnswersPerOrganization: 200}, testModel)
		if err != nil {
			b.Fatal(err)
		}
		_, err = finish(ctx, db, t, Outcome{
			State: Complete, Content: text(1700), Model: testModel, Finish: llm.Stop, Usage: llm.Usage{Input: 2000, Output: 400}, Tokens: 400, TTFB: 300e6, Events: 60, PromptVersion: "p1",
		})
		if err != nil {
			b.Fatal(err)
		}
		if turns++; turns%8 == 0 { // as the summarizer keeps a branch short
			if _, err := saveSummary(ctx, db, ann, session.ID, Summary{Message: t.Answer.ID, Content: "They spoke.", Tokens: 3, Model: testModel}); err != nil {
				b.Fatal(err)
			}
		}
	}
	logged := s.number(b, wal) - before
	to := s.counters(b, db)
	n := float64(turns)
	b.ReportMetric(float64(to.rows-from.rows-turns/8)/n, "rows/turn")
	b.ReportMetric(float64(to.commits-from.commits-looking-turns/8)/n, "commits/turn")
	b.ReportMetric(float64(s.number(b, sizeOfSession, session.ID)-bytes)/n, "stored-B/turn")
	b.ReportMetric(float64(logged)/n, "WAL-B/turn")
}

func benchmarkLangGraph(b *testing.B, turn int) {
	python, err := filepath.Abs("../../.tools/langgraph/bin/python")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(python); err != nil {
		b.Skip("LangGraph is not there: scripts/setup.sh bench installs it")
	}
	url := pgtest.URL(b)
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	for b.Loop() { // once is enough: it takes its time, and tells it
	}
	cmd := exec.CommandContext(ctx, python, "testdata/turns_in_langgraph.py", url, fmt.Sprint(turn))
	var failed bytes.Buffer
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%v: %s", err, failed.String())
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var c struct {
			MS                        float64
			Rows, Commits, Bytes, WAL float64
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(c.Rows, "rows/turn")
		b.ReportMetric(c.Commits, "commits/turn")
		b.ReportMetric(c.Bytes, "stored-B/turn")
		b.ReportMetric(c.WAL, "WAL-B/turn")
		b.ReportMetric(c.MS*1e6, "ns/op") // of the turn, without the start of Python
	}
}
