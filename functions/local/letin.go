package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"lectern.dev/lectern/functions/local/house"
)

// letIn prints a link that signs the owner in, and another one whenever a line comes
// on standard input: Enter is pressed.
func letIn(ctx context.Context, h *house.House) {
	printLink(ctx, h)
	fmt.Println("  (once, within 30 minutes; Enter gives another link)")
	signal.Ignore(syscall.SIGTTIN) // a process in the background would be stopped for reading; so it reads an error
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan() && ctx.Err() == nil; {
			printLink(ctx, h)
		}
	}()
}

func printLink(ctx context.Context, h *house.House) {
	link, err := h.SignInLink(ctx)
	if err != nil {
		slog.ErrorContext(ctx, "there is no link to sign in with", "error", err)
		return
	}
	fmt.Println("sign in:", link)
}
