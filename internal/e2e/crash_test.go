package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lectern.dev/lectern/functions/local/house"
)

// patience is how long a run may take, crashes and restarts included. It takes seconds
// alone; here a dozen share a machine with the browsers of other tests.
const patience = 10 * time.Minute

// program is this test built with the tag crashpoints, so that it dies where
// CRASHPOINT says.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "lectern-e2e-")
	if err != nil {
		return "", err
	}
	scratch = append(scratch, dir)
	path := filepath.Join(dir, "lectern")
	if out, err := exec.Command("go", "test", "-c", "-tags", "crashpoints,grpcnotrace", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return path, os.Chmod(dir, 0o755)
})

// platform keeps a process of Lectern alive on a folder, as a supervisor does:
// each time that it dies it is started again, at the next of points.
type platform struct {
	t        *testing.T
	binary   string
	data     string
	addr     string
	settings []string
	points   []string

	mu     sync.Mutex
	cmd    *exec.Cmd
	deaths int
	stderr bytes.Buffer
	ended  chan error // of the present process
}

func newPlatform(t *testing.T, points ...string) *platform {
	t.Helper()
	return newPlatformWith(t, nil, points...)
}

// newPlatformWith has further settings in the program's environment.
func newPlatformWith(t *testing.T, settings []string, points ...string) *platform {
	t.Helper()
	binary, err := program()
	if err != nil {
		missing(t, err)
	}
	p := &platform{t: t, binary: binary, data: dataFolder(t), addr: address(t), settings: settings, points: points}
	p.start()
	return p
}

// lastPort is the one that was looked at last, above 20,000; the first is drawn by lot.
var lastPort = rand.Int32N(10_000)

// address is one that stays a platform's own while its program is down: its port is below
// those that the system gives to whoever listens or connects anywhere.
func address(t *testing.T) string {
	t.Helper()
	for range 100 {
		free, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+atomic.AddInt32(&lastPort, 1)%10_000))
		if err != nil {
			continue // somebody's
		}
		if err := free.Close(); err != nil {
			t.Fatal(err)
		}
		return free.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
}

// start runs the program; after a death an hour has passed, so that the sweep
// looks at once after what was lost.
func (p *platform) start() {
	p.cmd = exec.Command(p.binary)
	p.cmd.Env = append(os.Environ(), asServer+"="+p.data, atAddress+"="+p.addr, "FIRESTORE_EMULATOR_HOST=")
	p.cmd.Env = append(p.cmd.Env, p.settings...)
	if p.deaths < len(p.points) {
		p.cmd.Env = append(p.cmd.Env, "CRASHPOINT="+p.points[p.deaths])
	}
	if p.deaths > 0 {
		p.cmd.Env = append(p.cmd.Env, anHourLater+"=1")
	}
	p.cmd.Stderr = &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.ended = make(chan error, 1)
	started := make(chan error)
	go func(cmd *exec.Cmd, ended chan<- error) {
		// The kernel sends Pdeathsig when the thread that started the child ends, so this one must stay.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}(p.cmd, p.ended)
	if err := <-started; err != nil {
		p.t.Errorf("the program does not start: %v", err)
		p.ended <- nil
	}
}

// revive starts the program again if it has died.
func (p *platform) revive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case err := <-p.ended:
		if status, ok := errors.AsType[*exec.ExitError](err); !ok || !status.Sys().(syscall.WaitStatus).Signaled() {
			p.t.Errorf("the program ended by itself: %v: %s", err, p.stderr.String())
		}
		p.deaths++
		p.start()
	default:
	}
}

// stop ends the program as a deployment does, and gives what it printed. It may die at
// its point at the very end, behind what was waited for.
func (p *platform) stop() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	err := <-p.ended
	if status, ok := errors.AsType[*exec.ExitError](err); ok && status.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL && p.deaths < len(p.points) {
		p.deaths++
	} else if err != nil {
		p.t.Errorf("the program did not stop well: %v: %s", err, p.stderr.String())
	}
	return p.stderr.String()
}

// makeCourse has a course made on the platform, revived whenever it dies, and
// gives the final state and what was printed.
func (p *platform) makeCourse(t *testing.T) (final []string, printed string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	watching, stopWatching := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for pause(watching) {
			p.revive()
		}
	}()
	_, err := client{url: "http://" + p.addr, data: p.data}.makeCourse(ctx, "testdata/tea.md", 2)
	stopWatching()
	<-watched
	printed = p.stop()
	if err != nil {
		t.Fatalf("%v\n%s", err, tail(printed))
	}
	return p.final(t), printed
}

func tail(printed string) string { return printed[max(0, len(printed)-4000):] }

// final opens the folder once more and gives the state in which it comes to rest.
func (p *platform) final(t *testing.T) []string {
	t.Helper()
	h := openFolder(t, house.Options{Addr: "127.0.0.1:0", Data: p.data, Sweep: quickly})
	settle(t, h.Pool())
	checkInvariants(t, h.Pool(), h.Bucket())
	return state(t, h.Pool(), h.Bucket())
}

// undisturbed is the run without a fault: its final state, and how often each
// point is passed.
var undisturbed struct {
	sync.Mutex
	state  []string
	points map[string]int
}

func reference(t *testing.T) (final []string, points map[string]int) {
	t.Helper()
	undisturbed.Lock()
	defer undisturbed.Unlock()
	if undisturbed.state == nil {
		final, printed := newPlatform(t, "list").makeCourse(t)
		undisturbed.state, undisturbed.points = final, count(printed)
	}
	return undisturbed.state, undisturbed.points
}

// count reads what CRASHPOINT=list prints.
func count(printed string) map[string]int {
	points := map[string]int{}
	lines := bufio.NewScanner(strings.NewReader(printed))
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "crashpoint "); ok {
			points[name]++
		}
	}
	return points
}

// everyPoint makes TestCrashes die at the first, the middle and the last time that
// each point is passed, instead of at a few: about ten minutes on two cores.
//
//	LECTERN_CRASHPOINTS=all go test -run TestCrashes -timeout 60m ./internal/e2e
const everyPoint = "LECTERN_CRASHPOINTS"

// few are the points of `make test`: one for each sort of commit, act and answer.
var few = []string{
	"source.uploaded", "job.after-commit:2", "run.after-commit", "film.segment-made:3", "film.uploaded", "finalize.before-ack:2",
	"budget.reserved:3", "budget.settled:5",
}

// F01: the process is killed at a line, and started again. Nothing is lost, and
// nothing has happened twice: the final state is that of a run without a fault.
func TestCrashes(t *testing.T) {
	t.Parallel()
	want, points := reference(t)
	places := few
	if os.Getenv(everyPoint) == "all" {
		places = nil
		for _, name := range slices.Sorted(maps.Keys(points)) {
			for _, nth := range slices.Compact([]int{1, (points[name] + 1) / 2, points[name]}) {
				places = append(places, fmt.Sprintf("%s:%d", name, nth))
			}
		}
	}
	for _, place := range places {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t, place)
			got, _ := p.makeCourse(t)
			if p.deaths != 1 {
				t.Errorf("it died %d times", p.deaths)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the final state differs (-undisturbed +got):\n%s", diff)
			}
		})
	}
}

// The process is killed, and killed again while it makes good what was lost.
func TestCrashesTwice(t *testing.T) {
	t.Parallel()
	want, _ := reference(t)
	// The first film's event is still to come then. (job.after-commit may never be passed: the event can end a step before the step itself.)
	p := newPlatform(t, "film.upload:1", "job.completed")
	got, _ := p.makeCourse(t)
	if p.deaths != 2 {
		t.Errorf("it died %d times", p.deaths)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the final state differs (-undisturbed +got):\n%s", diff)
	}
}

// F02: of the segments that a killed render had finished at most one is encoded again.
func TestKilledRenderGoesOn(t *testing.T) {
	t.Parallel()
	_, points := reference(t)
	half := points["film.segment-made"] / 2
	p := newPlatform(t, fmt.Sprintf("film.segment-made:%d", half), "list")
	_, printed := p.makeCourse(t)
	if again := half + count(printed)["film.segment-made"] - points["film.segment-made"]; p.deaths != 1 || again > 1 {
		t.Errorf("killed %d times after %d of %d segments, it made %d again", p.deaths, half, points["film.segment-made"], again)
	}
}
