// Package course knows courses, their modules and lessons, and what stands in a
// lesson: an article, slides with narration, questions, and the video made of them.
package course

import "time"

// Course is what an author makes and a learner takes.
type Course struct {
	ID        string    `json:"id"`
	Title     string    `json:"title"`
	Summary   string    `json:"summary"`
	Audience  string    `json:"audience"`
	Language  string    `json:"language" doc:"BCP 47 tag"`
	Version   int64     `json:"version" doc:"rises with every change; the ETag"`
	Modules   []Module  `json:"modules,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Module groups lessons.
type Module struct {
	ID       string          `json:"id"`
	CourseID string          `json:"course"`
	Title    string          `json:"title"`
	Summary  string          `json:"summary"`
	Position int             `json:"position" doc:"0-based place in the course"`
	Version  int64           `json:"version"`
	Lessons  []LessonSummary `json:"lessons"`
}

// LessonSummary is a lesson as the outline shows it.
type LessonSummary struct {
	ID         string `json:"id"`
	Title      string `json:"title"`
	Position   int    `json:"position" doc:"0-based place in the module"`
	Written    bool   `json:"written" doc:"whether it has slides"`
	VideoState string `json:"video_state" enum:"none,queued,rendering,ready,failed"`
}

// Lesson is one sitting: what is read, watched and answered.
type Lesson struct {
	ID         string     `json:"id"`
	CourseID   string     `json:"course"`
	ModuleID   string     `json:"module"`
	Title      string     `json:"title"`
	Objectives []string   `json:"objectives"`
	Article    string     `json:"article" doc:"Markdown; passages are cited as [^p1]"`
	Citations  []Evidence `json:"citations" doc:"what the article's [^p1], [^p2] … point to, in order"`
	Position   int        `json:"position"`
	Version    int64      `json:"version"`
	VideoState string     `json:"video_state" enum:"none,queued,rendering,ready,failed"`
	Video      *Video     `json:"video,omitempty" doc:"the newest video that is ready"`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
}

// SlideKind says how a slide is drawn.
type SlideKind string

// The kinds of slides.
const (
	PointsSlide SlideKind = "points"
	CodeSlide   SlideKind = "code"
	TableSlide  SlideKind = "table"
	QuoteSlide  SlideKind = "quote"
)

// Slide is one picture that builds up while it is spoken about. Points is set
// for every kind (beside code, a table or a quote they comment on it; they may be
// empty there); of Code, Table and Quote the one that Kind names is set.
type Slide struct {
	ID        string     `json:"id" required:"false" doc:"left out for a new slide"`
	Kind      SlideKind  `json:"kind" enum:"points,code,table,quote"`
	Title     string     `json:"title" maxLength:"200"`
	Points    []Point    `json:"points" required:"false" maxItems:"8"`
	Code      *Code      `json:"code,omitempty"`
	Table     *Table     `json:"table,omitempty"`
	Quote     *Quote     `json:"quote,omitempty"`
	Narration []Sentence `json:"narration" required:"false" maxItems:"60"`
}

// Point is one line on a slide.
type Point struct {
	Text     string     `json:"text" minLength:"1" maxLength:"300"`
	Evidence []Evidence `json:"evidence" required:"false" maxItems:"20"`
}

// Sentence is one spoken sentence.
type Sentence struct {
	Text     string     `json:"text" minLength:"1" maxLength:"1000"`
	Reveals  int        `json:"reveals" minimum:"0" doc:"how many points are visible from the start of this sentence on; never falls within a slide"`
	Evidence []Evidence `json:"evidence" required:"false" maxItems:"20"`
}

// Code is a listing.
type Code struct {
	Language string     `json:"language" maxLength:"40" doc:"as a Markdown fence names it; empty when unknown"`
	Text     string     `json:"text" minLength:"1" maxLength:"4000"`
	Evidence []Evidence `json:"evidence" required:"false" maxItems:"20"`
}

// Table is a small table.
type Table struct {
	Header   []string   `json:"header" minItems:"1" maxItems:"8"`
	Rows     [][]string `json:"rows" maxItems:"20" doc:"each as long as the header"`
	Evidence []Evidence `json:"evidence" required:"false" maxItems:"20"`
}

// Quote is a passage in the source's own words.
type Quote struct {
	Text        string     `json:"text" minLength:"1" maxLength:"1000"`
	Attribution string     `json:"attribution" required:"false" maxLength:"200"`
	Evidence    []Evidence `json:"evidence" required:"false" maxItems:"20"`
}

// Evidence is where a claim can be checked: a stretch of a passage of a source.
type Evidence struct {
	Passage string `json:"passage" doc:"id of the passage"`
	Source  string `json:"source" doc:"id of the source"`
	Page    int    `json:"page,omitempty" minimum:"0" doc:"1-based; absent when the source has no pages"`
	Heading string `json:"heading,omitempty"`
	Start   int    `json:"start" minimum:"0" doc:"offset in the source's text, in characters (Unicode code points)"`
	End     int    `json:"end" minimum:"0" doc:"offset after the last character"`
	Quote   string `json:"quote,omitempty" doc:"the words themselves"`
}

// Question checks what was learnt: one choice is right.
type Question struct {
	ID          string     `json:"id" required:"false" doc:"left out for a new question"`
	Prompt      string     `json:"prompt" minLength:"1" maxLength:"600"`
	Choices     []string   `json:"choices" minItems:"2" maxItems:"6"`
	Key         int        `json:"key" minimum:"0" doc:"0-based index of the right choice"`
	Explanation string     `json:"explanation" required:"false" maxLength:"1200"`
	Evidence    []Evidence `json:"evidence" required:"false" maxItems:"20"`
}

// The states of a lesson's video.
const (
	VideoNone      = "none"
	VideoQueued    = "queued"
	VideoRendering = "rendering"
	VideoReady     = "ready"
	VideoFailed    = "failed"
)

// Video is a film of a lesson that can be played.
type Video struct {
	Content     string       `json:"content" doc:"hash of the script, voice and theme it was made from"`
	Current     bool         `json:"current" doc:"false when the lesson was changed after this video was made"`
	URL         string       `json:"url"`
	CaptionsURL string       `json:"captions_url"`
	PosterURL   string       `json:"poster_url"`
	Duration    float64      `json:"duration_seconds"`
	Bytes       int64        `json:"bytes"`
	Chapters    []Chapter    `json:"chapters"`
	Transcript  []Transcript `json:"transcript"`
	CreatedAt   time.Time    `json:"created_at"`
}

// Chapter is where a slide begins in the video.
type Chapter struct {
	Start float64 `json:"start" doc:"seconds"`
	Title string  `json:"title"`
	Slide string  `json:"slide" doc:"id of the slide"`
}

// Transcript is when a sentence is spoken.
type Transcript struct {
	Start    float64 `json:"start" doc:"seconds"`
	End      float64 `json:"end" doc:"seconds"`
	Text     string  `json:"text"`
	Slide    string  `json:"slide" doc:"id of the slide"`
	Sentence int     `json:"sentence" doc:"0-based index in the slide's narration"`
}
