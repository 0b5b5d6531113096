package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/postgres/cluster"
)

// folder gives a place for clusters that is closed to all but us, as a home is.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cluster-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func start(t *testing.T, dir string) *cluster.Cluster {
	t.Helper()
	c, err := tryStart(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tryStart(t *testing.T, dir string) (*cluster.Cluster, error) {
	t.Helper()
	c, err := cluster.Start(t.Context(), dir, cluster.Options{})
	if err != nil {
		if strings.Contains(err.Error(), "or newer is not installed") && os.Getenv("CI") == "" {
			t.Skip(err)
		}
		return nil, err
	}
	t.Cleanup(func() { _ = c.Stop() })
	return c, nil
}

func do(t *testing.T, c *cluster.Cluster, sql string) {
	t.Helper()
	conn := connect(t, c)
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, c *cluster.Cluster) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.URL("notes"))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func count(t *testing.T, c *cluster.Cluster) (n int) {
	t.Helper()
	conn := connect(t, c)
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM notes`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A second start finds everything again, after a clean stop and after a crash.
func TestDataOutlivesStopsAndCrashes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "deep", "data")
	c := start(t, dir)
	for range 2 {
		if err := c.EnsureDatabase(t.Context(), "notes"); err != nil {
			t.Fatal(err)
		}
	}
	do(t, c, `CREATE TABLE notes (n INT)`)
	do(t, c, `INSERT INTO notes VALUES (1)`)
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.Socket()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's folder is left behind: %v", err)
	}

	c = start(t, dir)
	do(t, c, `INSERT INTO notes VALUES (2)`)
	c.Crash()
	c = start(t, dir)
	if n := count(t, c); n != 2 {
		t.Errorf("%d of 2 rows after a crash", n)
	}
	log, err := os.ReadFile(dir + ".log")
	if err != nil || !bytes.Contains(log, []byte("automatic recovery in progress")) {
		t.Errorf("the log tells nothing of the recovery: %v", err)
	}
}

// Nobody else on the machine can reach the database, and no port is open.
func TestOnlyItsOwnerCanEnter(t *testing.T) {
	t.Parallel()
	c := start(t, filepath.Join(folder(t), "data"))
	info, err := os.Stat(c.Socket())
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's folder is open: %v, %v", info.Mode(), err)
	}
	if err := c.EnsureDatabase(t.Context(), "notes"); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, c)
	defer conn.Close(context.Background())
	var addresses string
	if err := conn.QueryRow(t.Context(), `SHOW listen_addresses`).Scan(&addresses); err != nil || addresses != "" {
		t.Errorf("it listens on %q, %v", addresses, err)
	}
}

// The name of the socket's folder can be guessed; one that somebody else put there
// is not used.
func TestTakenSocketFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "data")
	c := start(t, dir)
	first := c.Socket()
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(first, 0o777); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(first)
	if err := os.Chmod(first, 0o777); err != nil {
		t.Fatal(err)
	}
	c = start(t, dir)
	if c.Socket() == first {
		t.Error("the server uses a folder that is open to everybody")
	}
}

func TestFoldersThatCannotServe(t *testing.T) {
	t.Parallel()
	t.Run("something else is in it", func(t *testing.T) {
		t.Parallel()
		dir := folder(t)
		if err := os.WriteFile(filepath.Join(dir, "letter.txt"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := tryStart(t, dir); err == nil || !strings.Contains(err.Error(), "choose another data folder") {
			t.Errorf("%v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, "letter.txt")); err != nil {
			t.Errorf("the file was touched: %v", err)
		}
	})
	t.Run("another version made it", func(t *testing.T) {
		t.Parallel()
		dir := folder(t)
		if err := os.WriteFile(filepath.Join(dir, "PG_VERSION"), []byte("12\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := tryStart(t, dir); err == nil || !strings.Contains(err.Error(), "install postgresql-12 or choose another data folder") {
			t.Errorf("%v", err)
		}
	})
	t.Run("it is a file", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(folder(t), "file")
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := tryStart(t, filepath.Join(dir, "data")); err == nil {
			t.Error("no error")
		}
	})
	t.Run("its log cannot be recovered from", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(folder(t), "data")
		c := start(t, dir)
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(dir, "pg_wal")); err != nil {
			t.Fatal(err)
		}
		if _, err := tryStart(t, dir); err == nil || !strings.Contains(err.Error(), "pg_wal") {
			t.Errorf("the server's own words are missing: %v", err)
		}
	})
}

// helper is this test binary as a process that holds a cluster until it is killed.
const helper = "LECTERN_CLUSTER_FOLDER"

func TestMain(m *testing.M) {
	dir := os.Getenv(helper)
	if dir == "" {
		os.Exit(m.Run())
	}
	c, err := cluster.Start(context.Background(), dir, cluster.Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("pid", c.PID())
	select {}
}

// A process that is killed takes its server with it, and the next start finds what
// was committed.
func TestKilledParent(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "data")
	c := start(t, dir)
	if err := c.EnsureDatabase(t.Context(), "notes"); err != nil {
		t.Fatal(err)
	}
	do(t, c, `CREATE TABLE notes AS SELECT 1`)
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	pid := hold(t, exec.Command(os.Args[0]), dir, syscall.SIGKILL)
	c = start(t, dir)
	if n := count(t, c); n != 1 {
		t.Errorf("%d rows", n)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the old server lives: %v", err)
	}
}

// A server that outlived its parent all the same is stopped first, under whatever
// name its folder is given.
func TestLeftoverServerIsStopped(t *testing.T) {
	t.Parallel()
	parent := folder(t)
	link := filepath.Join(folder(t), "link")
	if err := os.Symlink(parent, link); err != nil {
		t.Fatal(err)
	}
	old := start(t, filepath.Join(parent, "data"))
	if err := old.EnsureDatabase(t.Context(), "notes"); err != nil {
		t.Fatal(err)
	}
	do(t, old, `CREATE TABLE notes AS SELECT 1`)
	c := start(t, filepath.Join(link, "data"))
	if n := count(t, c); n != 1 || c.PID() == old.PID() {
		t.Errorf("%d rows; server %d follows %d", n, c.PID(), old.PID())
	}
}

// An ordinary user's cluster works, and who is not its owner is told so.
func TestAsAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can start processes of another user")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	as := func(binary string) *exec.Cmd {
		cmd := exec.Command(binary)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return cmd
	}
	open := folder(t)
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(open, "cluster.test")
	content, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, content, 0o755); err != nil { //nolint:gosec // nobody runs it
		t.Fatal(err)
	}
	theirs := filepath.Join(open, "theirs")
	if err := errors.Join(os.Mkdir(theirs, 0o700), os.Chown(theirs, uid, gid)); err != nil {
		t.Fatal(err)
	}
	ours := filepath.Join(open, "ours")
	if err := start(t, ours).Stop(); err != nil {
		t.Fatal(err)
	}
	hold(t, as(binary), filepath.Join(theirs, "data"), syscall.SIGKILL)
	hold(t, as(binary), filepath.Join(theirs, "data"), syscall.SIGKILL)
	cmd := as(binary)
	cmd.Env = append(os.Environ(), helper+"="+ours)
	out, err := cmd.Output()
	if err == nil || !strings.Contains(string(out), "belongs to another user") {
		t.Errorf("%v: %s", err, out)
	}
}

// hold runs the helper on dir until its server answers, ends it with a signal, and
// gives the server's process id once that is gone.
func hold(t *testing.T, cmd *exec.Cmd, dir string, end os.Signal) (pid int) {
	t.Helper()
	cmd.Env = append(os.Environ(), helper+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 1000)
	n, _ := out.Read(line)
	if _, err := fmt.Sscanf(string(line[:n]), "pid %d", &pid); err != nil {
		_ = cmd.Process.Kill()
		t.Fatalf("the helper says %q", line[:n])
	}
	if err := cmd.Process.Signal(end); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for deadline := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	return pid
}
