# Lectern's commands. `make` alone lists them.

.DEFAULT_GOAL := help
SHELL := bash
# Without the tag gRPC links html/template, and the linker then keeps every method of every SDK.
# The rest is how images are built: what lint has compiled, internal/weight need not.
export GOFLAGS := -tags=grpcnotrace -trimpath $(GOFLAGS)
export CGO_ENABLED ?= 0

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: setup ## start everything in one process, write the sample course, stay up
	@go build -o .tools/lectern ./functions/local
	@exec .tools/lectern $(ARGS) # in the shell's place: Ctrl-C is no error of go run

setup: ## install what is missing to run (Debian packages)
	@scripts/setup.sh run

setup-test: ## install what is missing to test
	@scripts/setup.sh test

test: setup-test lint terraform ## every check and every test, as CI runs them
	CGO_ENABLED=1 go test -race -shuffle=on -vet=off -timeout 20m -p 3 ./... # lint has vetted; one more than cores: many tests wait for a browser or a lease

lint: ## format, vet, staticcheck and the house rules
	@scripts/lint.sh

terraform: setup-test ## validate, test and lint terraform/, without any cloud
	@scripts/terraform.sh $(ARGS)

bench: setup-test ## render, CRUD, ingest, cold-start and chat figures
	@scripts/setup.sh bench
	@scripts/bench.sh

fmt: ## format the code
	go tool -modfile=tools/go.mod gofumpt -w .

migration: ## a new migration: make migration NAME=add_things
	@scripts/migration.sh "$(NAME)"

clean: ## remove what `make run` keeps
	rm -rf .lectern out

.PHONY: help run setup setup-test test lint terraform bench fmt migration clean
