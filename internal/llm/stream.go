package llm

import "context"

// Streamer is a Model that can answer piece by piece.
type Streamer interface {
	Model
	// Stream answers one request. It gives emit the pieces in order, each as soon as it
	// is there and never two at once; an error of emit ends the call and comes back.
	//
	// An answer that ends without the model having said that it is done, and why, is an
	// error. The Response holds all that was emitted, also beside an error: its Usage
	// then is what the server reported so far, and zero when it did not.
	Stream(ctx context.Context, req Request, emit func(Piece) error) (Response, error)
}

// Piece is a part of an answer.
type Piece struct {
	Text      string
	Refusal   bool            // Text says why the model will not answer
	ToolCalls []ToolCallPiece // parts of calls
}

// ToolCallPiece is a part of the Index-th call of an answer. ID and Name come with
// its first part; Arguments are to be put together.
type ToolCallPiece struct {
	Index     int
	ID, Name  string
	Arguments string
}
