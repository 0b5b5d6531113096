package budget_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/crash"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/postgres/pgtest"
)

// asWorker makes this program a worker that spends from the database it names.
const asWorker = "LECTERN_TEST_SPEND"

func TestMain(m *testing.M) {
	if url := os.Getenv(asWorker); url != "" {
		if err := work(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// The worker's calls: each sets 82 micro-dollars aside, and costs 13.
const (
	hardLimit   = 5000
	costOfACall = 13
)

// work asks a model from eight goroutines, until it is killed or has done enough. The
// model writes down what it served, as a real one would on its bill.
func work(url string) error {
	ctx := context.Background()
	db, err := postgres.Open(ctx, url, postgres.Options{MaxConns: 8, Role: postgres.Owner})
	if err != nil {
		return err
	}
	defer db.Close()
	prices, err := budget.LoadPrices(`{"fake": {"kind": "tokens", "input": 1, "output": 2}}`)
	if err != nil {
		return err
	}
	model := &budget.Streamer{
		Ledger: &budget.Ledger{DB: db, Prices: prices, Defaults: budget.Limits{Soft: hardLimit, Hard: hardLimit}},
		Streamer: speaking{scripted{func(context.Context, llm.Request) (llm.Response, error) {
			_, err := db.Exec(ctx, `INSERT INTO served (micros) VALUES ($1)`, costOfACall)
			return llm.Response{Text: "ok", Usage: llm.Usage{Input: 7, Output: 3}}, err
		}}},
	}
	paid := budget.With(postgres.WithOrganization(ctx, organization), budget.Payer{Organization: organization})
	var wg sync.WaitGroup
	failed := make(chan error, 8)
	for n := range 8 {
		wg.Go(func() {
			for range 6 {
				var err error
				if n%2 == 0 {
					_, err = model.Complete(paid, ask("a question", 20))
				} else {
					_, err = model.Stream(paid, ask("a question", 20), func(llm.Piece) error {
						crash.Point("budget.heard")
						return nil
					})
				}
				if err != nil && !fault.Is(err, fault.PaymentRequired) {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(failed)
	return <-failed
}

// F51 under kill -9: whatever line a worker dies at, nothing that a model served is
// forgotten, nothing stays reserved, and the limit holds.
func TestWorkersAreKilled(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	db, err := postgres.Open(t.Context(), url, postgres.Options{Role: postgres.Owner})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, sql := range []string{
		`CREATE TABLE served (micros BIGINT NOT NULL)`,
		`GRANT INSERT ON served TO lectern_tenant`, // its connections may be set to that role
	} {
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(t.TempDir(), "worker")
	if out, err := exec.Command("go", "test", "-c", "-tags", "crashpoints,grpcnotrace", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	spend := func(point string) error {
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Env = append(os.Environ(), asWorker+"="+url, "CRASHPOINT="+point)
		out, err := cmd.CombinedOutput()
		if status, ok := errors.AsType[*exec.ExitError](err); ok && status.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("%s: %v: %s", point, err, out)
		}
		return err
	}
	for _, point := range []string{"budget.reserved", "budget.heard", "budget.called", "budget.settled"} {
		for _, nth := range []int{1, 9} {
			if err := spend(fmt.Sprintf("%s:%d", point, nth)); err == nil {
				t.Errorf("nobody died at %s", point)
			}
			checkLimit(t, db)
		}
	}
	ledger := &budget.Ledger{DB: db, Defaults: budget.Limits{Soft: hardLimit, Hard: hardLimit}}
	expired := 0
	for range 3 { // what the dead had asked of the database may come after their end
		if _, err := db.Exec(t.Context(), `UPDATE ledger SET expires_at = now() - interval '1 second' WHERE state = 'reserved'`); err != nil {
			t.Fatal(err)
		}
		n, err := ledger.Expire(t.Context())
		if err != nil {
			t.Error(err)
		}
		expired += n
		if err := spend("none"); err != nil {
			t.Error(err)
		}
		checkLimit(t, db)
	}
	if expired == 0 {
		t.Error("nothing expired")
	}
	var reserved, settled, inFull, served, calls, ended int64
	err = db.QueryRow(t.Context(), `
		SELECT (SELECT reserved_micros FROM ledger_months),
			(SELECT sum(micros) FROM ledger WHERE state = 'settled')::bigint,
			(SELECT sum(micros) FROM ledger WHERE state = 'expired')::bigint,
			(SELECT sum(micros) FROM served)::bigint, (SELECT count(*) FROM served),
			(SELECT count(*) FROM ledger WHERE state = 'settled')`).Scan(&reserved, &settled, &inFull, &served, &calls, &ended)
	if err != nil {
		t.Fatal(err)
	}
	lost := calls - ended // served, and their worker died before it said so
	if reserved != 0 || settled != ended*costOfACall || lost < 0 || lost > int64(expired) || served > settled+inFull {
		t.Errorf("%d reserved; served %d in %d calls, settled %d in %d, %d counted in full: %d", reserved, served, calls, settled, ended, expired, inFull)
	}
	t.Logf("served %d in %d calls; settled %d; %d reservations of the dead counted in full: %d; limit %d", served, calls, settled, expired, inFull, int64(hardLimit))
}

func checkLimit(t *testing.T, db *pgxpool.Pool) {
	t.Helper()
	var held int64
	err := db.QueryRow(t.Context(), `SELECT spent_micros + reserved_micros FROM ledger_months`).Scan(&held)
	if err != nil || held > hardLimit {
		t.Errorf("%d of %d, %v", held, int64(hardLimit), err)
	}
}
