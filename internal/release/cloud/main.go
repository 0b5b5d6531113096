// Command cloud plays gcloud, docker, terraform, curl, git and go, by the name that it is called
// by, so that the scripts of a release can be tried: what they ask of Google Cloud and of
// the registry is done in a world that is a file. It knows what they use and refuses all
// else. $WORLD is the file.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// World is what stands, and what is to go wrong.
type World struct {
	Objects  map[string][]Version // by URL, the newest last
	Registry map[string]string    // digests by image:tag
	Services map[string]*Service
	Job      string   // image of the job that migrates; empty: there is none
	Runs     []string // images that have migrated
	Builders int
	Sources  map[string]string   // what the image of each function is named now
	Next     int                 // of what is numbered
	Secrets  map[string][]Secret // by name, the newest version last

	BrokenMigration string   // part of an image's name: it does not migrate
	Broken          []string // parts of names: these do not pass the smoke test
	Dead            []string // parts of names: these do not even start
	Foreign         string   // a bucket that somebody else has
	Divided         string   // a service whose people somebody has divided between two revisions

	Acts  []string // all that changed something
	Seen  []string // revisions that have served anybody
	DieAt int      // the act with this number, from 1, is the caller's last
	After bool     // it is done before the caller dies
}

// Version of an object.
type Version struct {
	Generation int
	Content    string
	Commit     string
	Again      string // the version that it is once more
}

// Secret is a version of one.
type Secret struct {
	Data     string
	Disabled bool
}

// Service of Cloud Run.
type Service struct {
	Revisions []Revision
	Pinned    string // the revision that serves; empty: the newest that starts
	Tags      map[string]string
}

// Revision of a service.
type Revision struct{ Name, Image string }

func main() {
	os.Exit(play(filepath.Base(os.Args[0]), os.Args[1:]))
}

func play(name string, args []string) int {
	file, err := os.OpenFile(os.Getenv("WORLD"), os.O_RDWR, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 70
	}
	defer file.Close()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return 70
	}
	c := &call{args: args}
	if err := json.NewDecoder(file).Decode(&c.World); err != nil {
		fmt.Fprintln(os.Stderr, "the world:", err)
		return 70
	}
	code := map[string]func() int{"gcloud": c.gcloud, "docker": c.docker, "terraform": c.terraform, "curl": c.curl, "git": c.git, "go": c.golang}[name]()
	for name, service := range c.Services {
		if serving := c.serving(name); serving != "" && service != nil && !slices.Contains(c.Seen, serving) {
			c.Seen = append(c.Seen, serving)
		}
	}
	world, err := json.MarshalIndent(c.World, "", " ")
	if err != nil || file.Truncate(0) != nil {
		return 70
	}
	if _, err := file.WriteAt(world, 0); err != nil {
		return 70
	}
	if c.last {
		_ = syscall.Kill(0, syscall.SIGKILL) // the script, and all that it has started
		select {}
	}
	return code
}

// call is one of a program.
type call struct {
	World
	args []string
	last bool
}

// act notes what changes something, and tells whether it may be done.
func (c *call) act(format string, args ...any) {
	c.Acts = append(c.Acts, fmt.Sprintf(format, args...))
	c.last = len(c.Acts) == c.DieAt
}

// flag gives the value of --name=value.
func (c *call) flag(name string) string {
	for _, arg := range c.args {
		if value, ok := strings.CutPrefix(arg, "--"+name+"="); ok {
			return value
		}
	}
	return ""
}

func (c *call) has(arg string) bool { return slices.Contains(c.args, arg) }

func (c *call) fail(format string, args ...any) int {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	return 1
}

func (c *call) starts(words ...string) bool {
	return len(c.args) >= len(words) && slices.Equal(c.args[:len(words)], words)
}

func named(parts []string, image string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(image, part) })
}
