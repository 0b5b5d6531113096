package house_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tiktoken-go/tokenizer/codec"

	"lectern.dev/lectern/functions/local/commission"
	"lectern.dev/lectern/functions/local/house"
	"lectern.dev/lectern/internal/account"
)

// book is what the course is made from: 261 pages, of the package debian-reference.
const book = "/usr/share/debian-reference/debian-reference.en.pdf"

// questions are put to the tutor, each in a session of its own and then as a follow-up.
var questions = []string{"How do I install a package?", "What is a shell?", "How do I find out which process uses a port?", "What does fsck do?"}

// BenchmarkCourse makes a course of ten lessons as a person would, and reports what of
// it costs money: processor time, tokens, bytes that stay, writes that are counted.
// With SAVE it writes the figures to bench/course.json, which the cost model of
// terraform/cost.tf reads.
func BenchmarkCourse(b *testing.B) {
	if _, err := os.Stat(book); err != nil {
		b.Skip("the package debian-reference is not installed")
	}
	slog.SetDefault(slog.New(slog.DiscardHandler)) // what a laptop prints costs nothing elsewhere
	for b.Loop() {
		figures := measureCourse(b)
		for name, value := range figures {
			b.ReportMetric(value, strings.ReplaceAll(name, "_", "-"))
		}
		if os.Getenv("SAVE") != "" {
			save(b, figures)
		}
	}
}

func save(b *testing.B, figures map[string]float64) {
	text, err := json.MarshalIndent(figures, "", "  ")
	if err == nil {
		err = os.WriteFile("../../../bench/course.json", append(text, '\n'), 0o644)
	}
	if err != nil {
		b.Fatal(err)
	}
}

func measureCourse(b *testing.B) map[string]float64 {
	folder, err := os.MkdirTemp("", "lectern-course-")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := os.Chmod(folder, 0o755); err != nil { // the database has a user of its own
		b.Fatal(err)
	}
	h, err := house.Open(b.Context(), house.Options{Addr: "127.0.0.1:0", Data: filepath.Join(folder, "data"), Throwaway: true})
	if err != nil {
		b.Fatal(err)
	}
	ctx, end := context.WithCancel(b.Context())
	ready, served := make(chan struct{}), make(chan error, 1)
	go func() { served <- h.Serve(ctx, func() { close(ready) }) }()
	<-ready
	m := &measuring{B: b, h: h, token: owner(b, h), figures: map[string]float64{"lessons": 10}}
	m.run()
	closing := worked()
	end()
	if err := errors.Join(<-served, h.Close()); err != nil {
		b.Fatal(err)
	}
	m.figures["cpu_seconds_database"] = tenths((worked() - closing).Seconds()) // it ends as a child of ours
	return m.figures
}

func owner(b *testing.B, h *house.House) string {
	token, err := h.Token(b.Context(), account.Local.User)
	if err != nil {
		b.Fatal(err)
	}
	return token
}

type measuring struct {
	*testing.B
	h       *house.House
	token   string
	figures map[string]float64
}

func (m *measuring) run() {
	empty := m.number(`SELECT pg_database_size(current_database())`)
	stages := map[string]time.Duration{}
	stage, since := "Reading", worked()
	maker := &commission.Maker{URL: m.h.URL(), Token: m.token, Show: func(now, _ string, _, _ int64, _ *time.Duration) {
		if now != stage {
			stages[stage] = worked() - since
			stage, since = now, worked()
		}
	}}
	document, err := commission.File(book)
	if err != nil {
		m.Fatal(err)
	}
	brief := commission.Brief{Lessons: 10}
	id, err := maker.Begin(m.Context(), []commission.Document{document}, brief)
	if err == nil {
		err = maker.Finish(m.Context(), id, brief)
	}
	if err != nil {
		m.Fatal(err)
	}
	stages[stage] = worked() - since

	film := m.number(`SELECT sum((manifest->>'duration_seconds')::float8) FROM videos`)
	m.set(map[string]float64{
		"film_minutes":        tenths(film / 60),
		"film_bytes":          m.stored("videos"),
		"segment_bytes":       m.stored("segments"), // until the sweep removes them
		"objects":             m.objects(),
		"source_bytes":        float64(document.Size),
		"passages":            m.number(`SELECT count(*) FROM passages`),
		"narration_chars":     m.number(`SELECT coalesce(sum(speech_characters), 0) FROM ledger_months`),
		"cpu_seconds_reading": tenths(stages["Reading"].Seconds()),
		"cpu_seconds_writing": tenths(stages["Writing"].Seconds()),
		"cpu_seconds_filming": tenths(stages["Filming"].Seconds()),
		"steps":               m.number(`SELECT count(*) FROM job_steps`),
		"live_writes":         m.number(`SELECT sum(version) FROM jobs`), // at most: what is a second apart is left out
	})
	if _, err := m.h.Pool().Exec(m.Context(), `VACUUM`); err != nil {
		m.Log(err) // who may not still measures: a vacuum only makes the figure steadier
	}
	m.figures["database_bytes"] = m.number(`SELECT pg_database_size(current_database())`) - empty

	perToken := m.bytesPerToken()
	m.figures["bytes_per_token"] = math.Round(perToken*100) / 100
	in, out := m.tokens(perToken)
	m.figures["tokens_in"], m.figures["tokens_out"] = in, out
	m.ask(id)
	turnsIn, turnsOut := m.tokens(perToken)
	n := float64(2 * len(questions))
	m.figures["turn_tokens_in"], m.figures["turn_tokens_out"] = math.Round((turnsIn-in)/n), math.Round((turnsOut-out)/n)
}

func (m *measuring) set(figures map[string]float64) {
	for name, value := range figures {
		m.figures[name] = value
	}
}

func (m *measuring) number(query string) (n float64) {
	if err := m.h.Pool().QueryRow(m.Context(), `SELECT (`+query+`)::float8`).Scan(&n); err != nil {
		m.Fatalf("%s: %v", query, err)
	}
	return n
}

func (m *measuring) stored(prefix string) (bytes float64) {
	all, err := m.h.Bucket().List(m.Context(), prefix+"/")
	if err != nil {
		m.Fatal(err)
	}
	for _, object := range all {
		bytes += float64(object.Size)
	}
	return bytes
}

func (m *measuring) objects() (n float64) {
	for _, prefix := range []string{"sources/", "segments/", "videos/"} {
		all, err := m.h.Bucket().List(m.Context(), prefix)
		if err != nil {
			m.Fatal(err)
		}
		n += float64(len(all))
	}
	return n
}

// bytesPerToken is what OpenAI's tokenizer makes of what the agents read and write. The
// offline model counts four bytes a token, in the same prompts.
func (m *measuring) bytesPerToken() float64 {
	rows, err := m.h.Pool().Query(m.Context(), `SELECT text FROM passages`)
	if err != nil {
		m.Fatal(err)
	}
	defer rows.Close()
	o200k := codec.NewO200kBase()
	bytes, tokens := 0, 0
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			m.Fatal(err)
		}
		n, err := o200k.Count(text)
		if err != nil {
			m.Fatal(err)
		}
		bytes, tokens = bytes+len(text), tokens+n
	}
	if err := rows.Err(); err != nil || tokens == 0 {
		m.Fatalf("%d tokens, %v", tokens, err)
	}
	return float64(bytes) / float64(tokens)
}

// tokens are those that were used so far.
func (m *measuring) tokens(perToken float64) (in, out float64) {
	scale := 4 / perToken
	return math.Round(scale * m.number(`SELECT sum(tokens_in) FROM ledger_months`)),
		math.Round(scale * m.number(`SELECT sum(tokens_out) FROM ledger_months`))
}

// ask puts the questions to the tutor.
func (m *measuring) ask(course string) {
	for _, question := range questions {
		var session struct {
			ID string `json:"id"`
		}
		m.post("/v1/chat/sessions", map[string]any{"course": course}, func(answer *http.Response) {
			if err := json.NewDecoder(answer.Body).Decode(&session); err != nil {
				m.Fatal(err)
			}
		})
		for _, content := range []string{question, "Give me an example of that."} {
			m.post("/v1/chat/sessions/"+session.ID+"/messages", map[string]any{"content": content}, func(answer *http.Response) {
				lines := bufio.NewScanner(answer.Body)
				for lines.Scan() { // to the end: then it is paid for
				}
				if err := lines.Err(); err != nil {
					m.Fatal(err)
				}
			})
		}
	}
}

func (m *measuring) post(path string, body any, read func(*http.Response)) {
	text, err := json.Marshal(body)
	if err != nil {
		m.Fatal(err)
	}
	req, err := http.NewRequestWithContext(m.Context(), http.MethodPost, m.h.URL()+path, bytes.NewReader(text))
	if err != nil {
		m.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+m.token)
	req.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		m.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode >= 300 {
		m.Fatalf("%s: %s", path, answer.Status)
	}
	read(answer)
}

// worked is the processor time of this process and of its children that have ended.
func worked() (sum time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}

func tenths(n float64) float64 { return math.Round(10*n) / 10 }
