// Command dockerfile holds a Dockerfile against BuildKit's own rules, as docker build
// --check does, without a daemon or a registry: what base images are is not asked.
// Usage: go run . ../../Dockerfile
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/opencontainers/go-digest"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run . DOCKERFILE")
		os.Exit(2)
	}
	found, err := check(context.Background(), os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, sentence := range found {
		fmt.Fprintf(os.Stderr, "%s: %s\n", os.Args[1], sentence)
	}
	if len(found) > 0 {
		os.Exit(1)
	}
}

// check gives a sentence for each rule that is broken.
func check(ctx context.Context, name string) ([]string, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	results, err := dockerfile2llb.DockerfileLint(ctx, content, dockerfile2llb.ConvertOpt{
		Config:       dockerui.Config{},
		SourceMap:    &llb.SourceMap{Definition: &llb.Definition{}, Filename: name, Language: "Dockerfile", Data: content},
		MetaResolver: anyBase{},
	})
	if err != nil {
		return nil, err
	}
	var found []string
	if results.Error != nil {
		found = append(found, results.Error.Message)
	}
	for _, w := range results.Warnings {
		line := int32(0)
		if ranges := w.Location.GetRanges(); len(ranges) > 0 {
			line = ranges[0].Start.Line
		}
		found = append(found, fmt.Sprintf("line %d: %s: %s", line, w.RuleName, w.Detail))
	}
	return found, nil
}

// anyBase takes each base image for one with a shell's path and nothing else.
type anyBase struct{}

func (anyBase) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	config := []byte(`{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/usr/bin"]},"rootfs":{"type":"layers","diff_ids":[]}}`)
	return ref, digest.FromBytes(config), config, nil
}
