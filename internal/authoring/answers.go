package authoring

// The shapes that models answer in. The JSON schemas are made of these types, and
// the tags after "jsonschema" are what the model reads about a field.

type outlineAnswer struct {
	Title   string         `json:"title" jsonschema:"title of the course"`
	Summary string         `json:"summary" jsonschema:"what the course is about, in one or two sentences that the sources bear out"`
	Modules []moduleAnswer `json:"modules"`
}

type moduleAnswer struct {
	Title   string          `json:"title"`
	Summary string          `json:"summary" jsonschema:"one sentence, or empty"`
	Lessons []lessonOutline `json:"lessons"`
}

type lessonOutline struct {
	Title    string   `json:"title" jsonschema:"at most 80 characters"`
	Sections []string `json:"sections" jsonschema:"ids of the sections that the lesson teaches, such as s12"`
}

type lessonAnswer struct {
	Objectives []string      `json:"objectives" jsonschema:"3 to 5 things a learner can do afterwards"`
	Article    string        `json:"article" jsonschema:"Markdown; every paragraph ends with the passages it rests on, such as [^p3]"`
	Slides     []slideAnswer `json:"slides" jsonschema:"5 to 12 slides"`
}

type slideAnswer struct {
	Kind      string           `json:"kind" jsonschema:"points, code, table or quote"`
	Title     string           `json:"title" jsonschema:"at most 60 characters"`
	Points    []claimAnswer    `json:"points" jsonschema:"2 to 5 short points of at most 12 words; may be empty beside code, a table or a quote"`
	Code      *codeAnswer      `json:"code" jsonschema:"for kind code, else null"`
	Table     *tableAnswer     `json:"table" jsonschema:"for kind table, else null"`
	Quote     *quoteAnswer     `json:"quote" jsonschema:"for kind quote, else null"`
	Narration []sentenceAnswer `json:"narration" jsonschema:"what the narrator says, one sentence each"`
}

type claimAnswer struct {
	Text  string `json:"text"`
	Cites []cite `json:"cites"`
}

type sentenceAnswer struct {
	Text    string `json:"text" jsonschema:"one spoken sentence; no code, no addresses, no symbols"`
	Reveals int    `json:"reveals" jsonschema:"how many points are visible from this sentence on"`
	Cites   []cite `json:"cites"`
}

type codeAnswer struct {
	Language string `json:"language" jsonschema:"as a Markdown fence names it, or empty"`
	Text     string `json:"text" jsonschema:"word for word from a passage, at most 16 lines"`
	Cites    []cite `json:"cites"`
}

type tableAnswer struct {
	Header []string   `json:"header"`
	Rows   [][]string `json:"rows" jsonschema:"at most 6 rows"`
	Cites  []cite     `json:"cites"`
}

type quoteAnswer struct {
	Text        string `json:"text" jsonschema:"word for word from a passage"`
	Attribution string `json:"attribution"`
	Cites       []cite `json:"cites"`
}

type cite struct {
	Passage string `json:"passage" jsonschema:"id of the passage, such as p3"`
	Quote   string `json:"quote" jsonschema:"the few words of the passage that bear the claim, word for word"`
}

type questionsAnswer struct {
	Questions []questionAnswer `json:"questions" jsonschema:"3 to 8 questions"`
}

type questionAnswer struct {
	Prompt      string   `json:"prompt"`
	Choices     []string `json:"choices" jsonschema:"3 to 5 choices, one right, the others plausible and wrong"`
	Key         int      `json:"key" jsonschema:"0-based index of the right choice"`
	Explanation string   `json:"explanation" jsonschema:"why it is right, by the source"`
	Cites       []cite   `json:"cites"`
}

type reviewAnswer struct {
	Repairs []repairAnswer `json:"repairs" jsonschema:"one for each claim that was given"`
}

type repairAnswer struct {
	Claim string `json:"claim" jsonschema:"the claim's id, such as c2"`
	Drop  bool   `json:"drop" jsonschema:"true when no passage bears the claim out"`
	Text  string `json:"text" jsonschema:"the claim, corrected so that the passages bear it out; as short as it was"`
	Cites []cite `json:"cites"`
}
