package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// pkg is what the go command tells of a package.
type pkg struct {
	ImportPath, Dir string
	Standard        bool
	Deps            []string
	Module          *struct {
		Path, Version, Sum string
		Main               bool
		Replace            *struct{ Path, Version, Sum string }
	}
	GoFiles, CgoFiles, CFiles, HFiles, SFiles, SysoFiles, EmbedFiles []string
	Error                                                            *struct{ Err string }
}

// images finds what each image is made from in the tree at root: of the import graph,
// as the Dockerfile builds it, files with what they embed, and versions of modules. The
// toolchain is the Dockerfile's.
func images(ctx context.Context, root string) (map[string]image, error) {
	house, err := read(ctx, root)
	if err != nil {
		return nil, err
	}
	programs, err := programs(root, house.Module.Path)
	if err != nil {
		return nil, err
	}
	graph, err := graph(ctx, root, programs)
	if err != nil {
		return nil, err
	}
	dockerfile, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil && !errors.Is(err, os.ErrNotExist) { // there was none once
		return nil, err
	}
	made := map[string]image{}
	for function, path := range programs {
		made[function] = image{
			"Dockerfile": digest([]byte(without(string(dockerfile), target(function)))),
			"go":         house.Go + string(house.Godebug),
		}
		for _, p := range append(graph[path].Deps, path) {
			if err := made[function].add(root, graph[p]); err != nil {
				return nil, fmt.Errorf("%s: %w", function, err)
			}
		}
	}
	return made, nil
}

// module is what go.mod says of itself: its name, and how the language behaves in it.
type module struct {
	Module  struct{ Path string }
	Go      string
	Godebug json.RawMessage
}

func read(ctx context.Context, root string) (m module, err error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "edit", "-json")
	cmd.Dir = root
	said, err := cmd.Output()
	if err != nil {
		return m, told(err)
	}
	return m, json.Unmarshal(said, &m)
}

// programs are the mains of functions that are deployed, and of migrate.
func programs(root, module string) (map[string]string, error) {
	found := map[string]string{}
	mains, err := filepath.Glob(filepath.Join(root, "functions", "*", "cmd", "main.go"))
	if err != nil {
		return nil, err
	}
	for _, main := range mains {
		folder := filepath.Dir(filepath.Dir(main))
		found[filepath.Base(folder)] = "/functions/" + filepath.Base(folder) + "/cmd"
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no functions/*/cmd/main.go in %s", root)
	}
	found["migrate"] = "/migrations/cmd/migrate"
	for function := range found {
		found[function] = module + found[function]
	}
	return found, nil
}

// graph asks for all packages of all programs at once.
func graph(ctx context.Context, root string, programs map[string]string) (map[string]pkg, error) {
	args := []string{"list", "-deps", "-json=ImportPath,Dir,Standard,Deps,Module,GoFiles,CgoFiles,CFiles,HFiles,SFiles,SysoFiles,EmbedFiles,Error", "-tags=container,grpcnotrace"}
	for _, path := range programs {
		args = append(args, path)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	listed, err := cmd.Output()
	if err != nil {
		return nil, told(err)
	}
	found := map[string]pkg{}
	for decoder := json.NewDecoder(bytes.NewReader(listed)); ; {
		var p pkg
		switch err := decoder.Decode(&p); {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return nil, err
		case p.Error != nil:
			return nil, errors.New(p.Error.Err)
		}
		found[p.ImportPath] = p
	}
}

// add counts a package: one of ours by its files, one of others by its module's version.
// The standard library comes with the toolchain.
func (i image) add(root string, p pkg) error {
	switch {
	case p.Standard:
		return nil
	case p.Module == nil:
		return fmt.Errorf("%s is of no module", p.ImportPath)
	case p.Module.Main:
		return i.addFiles(root, p)
	case p.Module.Replace != nil && p.Module.Replace.Version == "":
		return fmt.Errorf("%s is replaced by a folder, which is in no image", p.Module.Path)
	case p.Module.Replace != nil:
		i["module "+p.Module.Path] = p.Module.Replace.Path + "@" + p.Module.Replace.Version + " " + p.Module.Replace.Sum
	default:
		i["module "+p.Module.Path] = p.Module.Version + " " + p.Module.Sum
	}
	return nil
}

func (i image) addFiles(root string, p pkg) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	root, err = filepath.EvalSymlinks(root)
	if err != nil {
		return err
	}
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.CFiles, p.HFiles, p.SFiles, p.SysoFiles, p.EmbedFiles) {
		file := filepath.Join(p.Dir, name)
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		path, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		i[filepath.ToSlash(path)] = digest(content)
	}
	return nil
}

func digest(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }

// told is an error with what the command said.
func told(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("the go command says: %s", cmp.Or(strings.TrimSpace(string(exit.Stderr)), exit.Error()))
	}
	return err
}
