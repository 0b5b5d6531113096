// Package cluster runs a Postgres of one's own from the installed binaries: own
// folder, own Unix socket, no TCP port, nothing else on the machine touched. It
// is the laptop's database and the tests'; production uses Cloud SQL.
package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options choose how careful the cluster is.
type Options struct {
	// Throwaway gives up durability (no fsync) for speed: for tests only.
	Throwaway bool
	// Log receives the server's log; nil writes postgres.log beside the data folder.
	Log io.Writer
}

// Cluster is a running server.
type Cluster struct {
	server *process
	socket string // folder that only the server's user may enter
}

// Start runs a server on folder dir, made with initdb at the first start. It comes
// back when the server answers. After a crash of either side Postgres recovers
// from its log; a server left over from a killed parent is stopped first.
//
// As root the server runs as user postgres (or nobody), because Postgres refuses root.
func Start(ctx context.Context, dir string, o Options) (*Cluster, error) {
	dir, err := absolute(dir)
	if err != nil {
		return nil, err
	}
	user, err := serverUser()
	if err != nil {
		return nil, err
	}
	bin, err := findBinaries(dir)
	if err != nil {
		return nil, err
	}
	if err := ensureInitialized(ctx, bin, dir, user); err != nil {
		return nil, err
	}
	if err := stopLeftover(ctx, dir); err != nil {
		return nil, err
	}
	socket, err := socketFolder(dir, user)
	if err != nil {
		return nil, err
	}
	c := &Cluster{socket: socket}
	if c.server, err = startServer(bin, dir, socket, user, o); err != nil {
		os.RemoveAll(socket)
		return nil, err
	}
	if err := c.awaitReady(ctx); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// URL is the connection string of a database of this cluster. The socket's folder
// is the lock: who can enter it is let in without a password.
func (c *Cluster) URL(database string) string {
	return "postgres:///" + url.PathEscape(database) + "?" + url.Values{"host": {c.socket}, "user": {superuser}}.Encode()
}

// EnsureDatabase creates a database unless it is there.
func (c *Cluster) EnsureDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var there bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&there)
	if err != nil || there {
		return err
	}
	_, err = conn.Exec(ctx, `CREATE DATABASE `+pgx.Identifier{name}.Sanitize())
	return err
}

// Stop ends the server: it waits for running transactions to be rolled back and
// for a checkpoint, so that the next start needs no recovery.
func (c *Cluster) Stop() error {
	err := c.server.stop()
	return errors.Join(err, os.RemoveAll(c.socket))
}

// Crash kills the server as a power failure would: for tests of recovery.
func (c *Cluster) Crash() { c.server.kill() }

// Socket is the folder of the server's Unix socket.
func (c *Cluster) Socket() string { return c.socket }

// PID is the server's process id.
func (c *Cluster) PID() int { return c.server.pid() }

const superuser = "lectern"

// absolute resolves what of a path exists, so that a server's folder is known by
// one name only.
func absolute(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real, nil
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(dir)); err == nil {
		return filepath.Join(real, filepath.Base(dir)), nil
	}
	return dir, nil
}

// socketFolder makes the folder of a server's socket: in the system's temporary
// folder, because the path of a Unix socket holds at most 107 bytes, and the same
// for every start, so that a killed process leaves no second one behind.
func socketFolder(dir string, user *identity) (string, error) {
	sum := sha256.Sum256([]byte(dir))
	folder := filepath.Join(os.TempDir(), fmt.Sprintf("lectern-pg-%x", sum[:8]))
	err := os.Mkdir(folder, 0o700)
	if errors.Is(err, fs.ErrExist) && !user.owns(folder) {
		// Somebody else has taken the name; nobody who can guess it may be our database.
		folder, err = os.MkdirTemp("", "lectern-pg-")
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return folder, user.own(folder)
}

func ensureInitialized(ctx context.Context, bin, dir string, user *identity) error {
	_, err := os.Stat(filepath.Join(dir, "PG_VERSION"))
	if err == nil {
		return user.own(dir)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("the database folder %s belongs to another user; start Lectern as that user or choose another data folder", dir)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is neither empty nor a database folder; choose another data folder", dir)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	// initdb into a folder beside it, then rename: a crash half-way leaves nothing that looks finished.
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "initdb-")
	if err != nil {
		return fmt.Errorf("make the database folder: %w", err)
	}
	defer os.RemoveAll(fresh)
	if err := user.own(fresh); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "--pgdata", fresh, "--username", superuser,
		"--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions")
	cmd.SysProcAttr = user.attributes()
	cmd.Dir = "/" // the server's user may not be able to enter ours
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("create the database folder %s: %w: %s", dir, err, lastLine(out))
	}
	_ = os.Remove(dir) // an empty folder may stand in the way
	return os.Rename(fresh, dir)
}

func startServer(bin, dir, socket string, user *identity, o Options) (*process, error) {
	args := []string{
		"-D", dir, "-k", socket,
		"-c", "listen_addresses=",
		"-c", "unix_socket_permissions=0700",
		"-c", "max_connections=100",
		"-c", "shared_buffers=64MB",
	}
	if o.Throwaway {
		args = append(args, "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=400")
	}
	return startProcess(filepath.Join(bin, "postgres"), args, dir, user, o.Log)
}

func (c *Cluster) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second) // recovery after a crash takes its time
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-c.server.done:
			return fmt.Errorf("the database did not start: %s", c.server.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("the database does not answer: %w: %s", err, c.server.lastWords())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func lastLine(out []byte) string {
	text := strings.TrimSpace(string(out))
	return text[strings.LastIndexByte(text, '\n')+1:]
}
