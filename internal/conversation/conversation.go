// Package conversation is the tutor: sessions of a person beside a course, their
// messages, and the turns in which a language model answers from the course's
// passages, with citations.
//
// Messages form a tree and are never changed: who edits a question or asks for
// another answer begins a branch. What a model is shown of a long branch is a summary
// of its beginning and the messages since; the summary stands beside them. Each
// turn leaves a checkpoint that says what the answer was made from.
package conversation

import (
	"encoding/json"
	"time"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/llm"
)

// Session is a conversation of one person, or of one API credential.
type Session struct {
	ID         string    `json:"id"`
	CourseID   string    `json:"course,omitempty" doc:"whose material it rests on; absent: none"`
	LessonID   string    `json:"lesson,omitempty" doc:"beside which it stands"`
	Task       string    `json:"task" doc:"what messages are answered by that name no task"`
	Title      string    `json:"title,omitempty"`
	ForkedFrom string    `json:"forked_from,omitempty" doc:"the checkpoint of another session that this one began from"`
	Answering  string    `json:"answering,omitempty" doc:"the answer that is being made now"`
	CreatedAt  time.Time `json:"created_at"`
}

// Role says who wrote a message.
type Role string

// The two who talk.
const (
	User      Role = "user"
	Assistant Role = "assistant"
)

// State is where a message stands. A person's is always Complete.
type State string

// The states of a message. All but Streaming are final.
const (
	Streaming   State = "streaming"
	Complete    State = "complete"
	Stopped     State = "stopped"     // by who asked; Content is what there was
	Interrupted State = "interrupted" // Content is what there was; it can be continued
	Failed      State = "failed"      // before there was anything
)

// Message is one message of a session.
type Message struct {
	ID         string     `json:"id"`
	Parent     string     `json:"parent,omitempty" doc:"the message that it answers or follows; absent at a beginning"`
	Role       Role       `json:"role" enum:"user,assistant"`
	TaskID     string     `json:"task" doc:"the task and its version, such as tutor@1"`
	State      State      `json:"state" enum:"streaming,complete,stopped,interrupted,failed"`
	Content    string     `json:"content"`
	Citations  []Citation `json:"citations,omitempty"`
	Quiz       *Quiz      `json:"quiz,omitempty"`
	Problem    string     `json:"problem,omitempty" doc:"why it was interrupted or failed"`
	Model      string     `json:"model,omitempty" doc:"who answered"`
	Finish     string     `json:"finish,omitempty" doc:"why the model ended: stop, length or refusal"`
	Usage      *Usage     `json:"usage,omitempty"`
	TTFB       *int64     `json:"ttfb_ms,omitempty" doc:"milliseconds from the request to the first byte of the answer"`
	CreatedAt  time.Time  `json:"created_at"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`

	Events int64 `json:"-"` // how many the answer has in the log
	Tokens int64 `json:"-"` // of the content, by the model's tokenizer
}

// Usage counts an answer's tokens.
type Usage struct {
	Input  int64 `json:"input_tokens"`
	Output int64 `json:"output_tokens"`
}

// Citation says where a claim of an answer can be checked. In the text it stands as [N].
type Citation struct {
	N    int    `json:"n" doc:"its number in the text: [1]"`
	Name string `json:"name" doc:"the source's name, or the lesson's title"`
	// Lesson is set when it is a lesson that says it, and no source.
	Lesson string `json:"lesson,omitempty"`
	course.Evidence
}

// Quiz is what an answer asked of a learner, or how it judged their answer.
type Quiz struct {
	Question string `json:"question,omitempty" doc:"id of the course's question that is asked"`
	Lesson   string `json:"lesson,omitempty" doc:"where that question stands"`
	Judged   string `json:"judged,omitempty" doc:"id of the question that was answered"`
	Right    *bool  `json:"right,omitempty" doc:"whether it was answered rightly"`
}

// Checkpoint says what an answer was made from.
type Checkpoint struct {
	ID            string    `json:"id"`
	Parent        string    `json:"parent,omitempty" doc:"the checkpoint before it on its branch"`
	Message       string    `json:"message" doc:"the answer"`
	Summary       string    `json:"summary,omitempty" doc:"the message up to which a summary stood for the conversation"`
	TaskID        string    `json:"task" doc:"the task and its version"`
	Model         string    `json:"model,omitempty" doc:"who answered; absent: not known, since the process that made the answer died"`
	PromptVersion string    `json:"prompt_version,omitempty" doc:"which wording of the instructions; another one says that they have changed; absent: not known, as the model"`
	CreatedAt     time.Time `json:"created_at"`
}

// Summary is what was said on a branch up to a message, in short.
type Summary struct {
	Message   string    `json:"message" doc:"the last message that it stands for"`
	Content   string    `json:"content"`
	Tokens    int64     `json:"tokens"`
	Model     string    `json:"model"`
	CreatedAt time.Time `json:"created_at"`
}

// Task is a named, versioned instruction.
type Task struct {
	ID           string    `json:"id" doc:"name and version: tutor@1"`
	Name         string    `json:"task" doc:"what sessions and messages name"`
	Version      int64     `json:"version"`
	BuiltIn      bool      `json:"built_in"`
	Title        string    `json:"title"`
	Instructions string    `json:"instructions"`
	CreatedAt    time.Time `json:"created_at,omitzero" doc:"absent for a built-in one"`
}

// Memory is something that is remembered of a learner between sessions.
type Memory struct {
	ID        string    `json:"id"`
	CourseID  string    `json:"course"`
	Kind      string    `json:"kind" enum:"asked,missed" doc:"asked: what they asked about; missed: what they answered wrongly in a quiz"`
	Content   string    `json:"content"`
	CreatedAt time.Time `json:"created_at"`
}

// Prompt is what a person sends.
type Prompt struct {
	ID      string // chosen by the client, so that sending it again is no second message; "": a new one
	Content string // "": another answer to Parent, or the rest of it when it was interrupted
	Parent  string // "": the newest message of the session; Root: a new beginning
	Task    string // "": the session's
	// Replay answers Parent as this checkpoint's answer was made: with its task's version and its summary.
	Replay    *Checkpoint
	Extra     map[string]json.RawMessage // for the model; see llm.Request. Nil: as what is gone on with, or replayed
	MaxTokens int                        // of the answer. 0: what was left to what is gone on with; else the tutor's own bound
}

// Root is the Parent of a message that begins a conversation anew.
const Root = "root"

// Turn is a question and the answer that is being made to it.
type Turn struct {
	Session          Session // without its title
	Question         Message // what is answered
	Answer           Message // Streaming, without content
	Task             Task
	Summary          *Summary  // of the branch before History
	History          []Message // the branch before Question, oldest first
	Continues        *Message  // the interrupted answer that this one goes on with; its Content is all that there is of the answer, also what came before an earlier interruption
	ParentCheckpoint string
	MaxTokens        int                        // of the answer; 0: the tutor's own bound
	Extra            map[string]json.RawMessage // for the model; see llm.Request
	// Again says that the message had been sent before: Answer is the one it got then, which may have ended.
	Again bool

	who        account.Principal // whose session it is
	producer   string            // which process makes the answer
	checkpoint string            // the id that the turn's checkpoint will have
}

// Outcome is how an answer ended.
type Outcome struct {
	State         State
	Content       string
	Citations     []Citation
	Quiz          *Quiz
	Problem       string
	Model         string
	Finish        llm.Finish
	Usage         llm.Usage
	Tokens        int64
	TTFB          time.Duration // 0: there was no first byte
	Events        int64
	PromptVersion string
}
