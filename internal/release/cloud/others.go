package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func (c *call) docker() int {
	switch {
	case c.starts("buildx", "imagetools", "inspect"):
		digest, ok := c.Registry[c.args[3]]
		if !ok {
			return c.fail("ERROR: %s: not found", c.args[3])
		}
		fmt.Println(digest)
	case c.starts("buildx", "inspect"):
		if c.Builders == 0 {
			return c.fail(`ERROR: no builder "lectern" found`)
		}
	case c.starts("buildx", "create"):
		c.Builders++
	case c.starts("buildx", "build"):
		for _, field := range strings.Split(c.args[slices.Index(c.args, "--output")+1], ",") {
			if image, ok := strings.CutPrefix(field, "name="); ok {
				c.act("build %s", short(image))
				_, tag, _ := strings.Cut(short(image), ":")
				c.Registry[image] = "sha256:" + tag
			}
		}
	default:
		return c.fail("docker is not played so: %q", c.args)
	}
	return 0
}

// commit is the newest of the versions that images are made from.
func (c *call) commit() string {
	newest := slices.Max(slices.Collect(maps.Values(c.Sources)))
	return newest + strings.Repeat("0", 40-len(newest))
}

// git knows one commit, and a remote with a secret in its address.
func (c *call) git() int {
	switch {
	case c.starts("rev-parse"):
		fmt.Println(c.commit())
	case c.starts("show"):
		fmt.Println("1795392000")
	case c.starts("config"):
		fmt.Println("https://user:secret@git.example.org/lectern.git")
	default:
		return c.fail("git is not played so: %q", c.args)
	}
	return 0
}

// golang tells what images are made from.
func (c *call) golang() int {
	if !c.starts("run", "./internal/release/touched") {
		return c.fail("go is not played so: %q", c.args)
	}
	for _, function := range slices.Sorted(maps.Keys(c.Sources)) {
		target := "plain"
		if function == "render" || function == "ingest" {
			target = "media"
		}
		fmt.Println(function, target, c.Sources[function])
	}
	return 0
}

// terraform deploys what images.json says. Like the provider it writes back the traffic
// that it finds: a service that simply follows its newest revision goes on to do so.
func (c *call) terraform() int {
	name := os.Getenv("NAME")
	switch {
	case c.has("init"):
		return 0
	case c.has("plan"):
		if len(c.differences(name)) > 0 {
			return 2
		}
		return 0
	case !c.has("apply") || !c.has("-auto-approve"):
		return c.fail("terraform is not played so: %q", c.args)
	}
	c.act("apply")
	failed := 0
	for function, image := range c.differences(name) {
		if function == "migrate" {
			c.Job = image
			continue
		}
		service := c.Services[name+"-"+function]
		if service == nil {
			service = &Service{}
			c.Services[name+"-"+function] = service
		}
		service.Revisions = append(service.Revisions, Revision{fmt.Sprintf("%s-%s-%05d", name, function, len(service.Revisions)+1), image})
		if named(c.Dead, image) {
			failed = c.fail("Error: Error waiting for updating Service: The user-provided container failed to start and listen.")
		}
	}
	return failed
}

// differences are functions whose image is not what images.json says.
func (c *call) differences(name string) map[string]string {
	wanted := map[string]string{}
	if versions := c.Objects["gs://"+os.Getenv("STATE_BUCKET")+"/"+name+"/images.json"]; len(versions) > 0 {
		if err := json.Unmarshal([]byte(versions[len(versions)-1].Content), &wanted); err != nil {
			panic(err)
		}
	}
	for function, image := range wanted {
		service := c.Services[name+"-"+function]
		if function == "migrate" && c.Job == image || service != nil && service.Revisions[len(service.Revisions)-1].Image == image {
			delete(wanted, function)
		}
	}
	return wanted
}

// curl asks a revision by the address of its tag.
func (c *call) curl() int {
	url := c.args[len(c.args)-1]
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "https://"), "/")
	_, host, tagged := strings.Cut(host, "---")
	service := strings.TrimSuffix(host, ".example.org")
	if !tagged || c.Services[service] == nil || c.Services[service].Tags["candidate"] == "" {
		return c.fail("curl: (6) Could not resolve host: %s", host)
	}
	revision := c.Services[service].Tags["candidate"]
	at := slices.IndexFunc(c.Services[service].Revisions, func(r Revision) bool { return r.Name == revision })
	answer, kind, body := "200", "text/plain", "ok"
	switch {
	case named(c.Broken, c.Services[service].Revisions[at].Image):
		answer, body = "500", "Something broke."
	case path == "sign-in":
		kind, body = "text/html; charset=utf-8", `<form method="post">`
	case path == "openapi.json":
		kind, body = "application/openapi+json", `{"openapi":"3.1.0","paths":{"/v1/courses":{}}}`
	case strings.HasPrefix(path, "v1/"):
		answer, kind, body = "401", "application/problem+json", `{"status":401}`
	}
	if err := os.WriteFile(filepath.Clean(c.args[slices.Index(c.args, "-o")+1]), []byte(body), 0o600); err != nil {
		return 1
	}
	fmt.Print(answer, " ", kind)
	return 0
}
