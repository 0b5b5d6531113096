package chat

import (
	"context"
	"net/http"
	"sync"
	"time"

	"lectern.dev/lectern/internal/conversation"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/llm"
)

// ending is how an answer ended that is whole.
type ending struct {
	model     string // who answered
	finish    llm.Finish
	usage     completionUsage
	citations []conversation.Citation
}

// answering gives an answer piece by piece, and how it ended.
type answering func(ctx context.Context, emit func(llm.Piece) error) (ending, error)

func newCompletion(id, model string) completion {
	return completion{ID: id, Object: "chat.completion", Created: time.Now().Unix(), Model: model}
}

// respond sends an answer as it was asked for. An error of the answer comes back as
// long as nothing was sent.
func respond(ctx context.Context, w http.ResponseWriter, in *completionRequest, c completion, answer answering) error {
	if in.Stream {
		return respondWithStream(ctx, w, c, in.usageWanted(), answer)
	}
	var g gathered
	end, err := answer(ctx, func(p llm.Piece) error { g.add(p); return nil })
	switch {
	case gone(ctx):
		return nil // nobody is there to be told
	case err != nil:
		return err
	}
	c.Model, c.Usage = end.model, end.usage
	message := g.answer()
	message.Citations = end.citations
	c.Choices = []completionChoice{{Message: message, FinishReason: reasonOf(end.finish, message.Refusal != nil)}}
	return writeJSON(w, c)
}

func respondWithStream(ctx context.Context, w http.ResponseWriter, c completion, usage bool, answer answering) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	to := edge.NewDataStream(w)
	out := newChunks(to, c, usage)
	var beating sync.WaitGroup
	beating.Go(func() { to.Alive(ctx, cancel) })
	defer beating.Wait() // nobody may write after the handler has returned
	defer cancel()
	defer out.close()
	end, err := answer(ctx, out.add)
	switch {
	case err == nil:
		c.Model, c.Usage = end.model, end.usage
		return out.done(c, end.finish, end.citations)
	case gone(ctx) || out.broken():
		return nil // nobody is there to be told
	case to.Withdraw():
		return err
	}
	edge.Failed(ctx, err)
	out.fail(toldOf(ctx, err))
	return nil
}
