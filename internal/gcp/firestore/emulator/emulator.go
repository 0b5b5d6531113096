// Package emulator starts Google's Firestore emulator, a Java program, for tests.
//
// What it does not do as Firestore: it asks for no composite indexes, deletes
// nothing by TTL, and sets no limit on writes to one document or on streams of one
// connection.
package emulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ErrMissing says that the emulator or Java is not installed on this machine.
var ErrMissing = errors.New("the Firestore emulator is not installed (gcloud components install cloud-firestore-emulator, or apt-get install google-cloud-cli-firestore-emulator)")

const startTime = 90 * time.Second // a JVM on a busy machine

// Start gives the address of a new, empty emulator, for FIRESTORE_EMULATOR_HOST,
// and what stops it. It dies with the process that started it.
func Start(ctx context.Context) (host string, stop func(), err error) {
	jar, err := find()
	if err != nil {
		return "", nil, err
	}
	host, err = freeAddress()
	if err != nil {
		return "", nil, err
	}
	_, port, _ := strings.Cut(host, ":")
	// The flags make a small, short-lived JVM start sooner.
	cmd := exec.Command("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m", "-Duser.language=en",
		"-cp", jar, "com.google.cloud.datastore.emulator.firestore.CloudFirestore", "--host=127.0.0.1", "--port="+port)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start the Firestore emulator: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	if err := await(ctx, host, ended); err != nil {
		stop()
		return "", nil, err
	}
	return host, stop, nil
}

// find looks beside gcloud, where its components live.
func find() (string, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return "", ErrMissing
	}
	roots := []string{"/usr/lib/google-cloud-sdk"}
	if gcloud, err := exec.LookPath("gcloud"); err == nil {
		if real, err := filepath.EvalSymlinks(gcloud); err == nil {
			roots = append(roots, filepath.Dir(filepath.Dir(real)))
		}
	}
	for _, root := range roots {
		jar := filepath.Join(root, "platform", "cloud-firestore-emulator", "cloud-firestore-emulator.jar")
		if _, err := os.Stat(jar); err == nil {
			return jar, nil
		}
	}
	return "", ErrMissing
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String(), nil
}

// await returns when the emulator answers.
func await(ctx context.Context, host string, ended chan error) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/", nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			return nil
		}
		select {
		case err := <-ended:
			ended <- err
			return fmt.Errorf("the Firestore emulator ended at once: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("the Firestore emulator does not answer: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
