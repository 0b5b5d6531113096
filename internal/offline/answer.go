package offline

// The shapes of the answers, as the schemas of the requests describe them.

type outline struct {
	Title   string   `json:"title"`
	Summary string   `json:"summary"`
	Modules []module `json:"modules"`
}

type module struct {
	Title   string          `json:"title"`
	Summary string          `json:"summary"`
	Lessons []plannedLesson `json:"lessons"`
}

type plannedLesson struct {
	Title    string   `json:"title"`
	Sections []string `json:"sections"`
}

type lesson struct {
	Objectives []string `json:"objectives"`
	Article    string   `json:"article"`
	Slides     []slide  `json:"slides"`
}

type slide struct {
	Kind      string           `json:"kind"`
	Title     string           `json:"title"`
	Points    []claim          `json:"points"`
	Code      *code            `json:"code"`
	Table     *table           `json:"table"`
	Quote     *quote           `json:"quote"`
	Narration []spokenSentence `json:"narration"`
}

type claim struct {
	Text  string `json:"text"`
	Cites []cite `json:"cites"`
}

type spokenSentence struct {
	Text    string `json:"text"`
	Reveals int    `json:"reveals"`
	Cites   []cite `json:"cites"`
}

type code struct {
	Language string `json:"language"`
	Text     string `json:"text"`
	Cites    []cite `json:"cites"`
}

type table struct {
	Header []string   `json:"header"`
	Rows   [][]string `json:"rows"`
	Cites  []cite     `json:"cites"`
}

type quote struct {
	Text        string `json:"text"`
	Attribution string `json:"attribution"`
	Cites       []cite `json:"cites"`
}

// cite points to a passage by the id that the request gave it; Quote stands in it
// word for word.
type cite struct {
	Passage string `json:"passage"`
	Quote   string `json:"quote"`
}

type questions struct {
	Questions []question `json:"questions"`
}

type question struct {
	Prompt      string   `json:"prompt"`
	Choices     []string `json:"choices"`
	Key         int      `json:"key"`
	Explanation string   `json:"explanation"`
	Cites       []cite   `json:"cites"`
}

type review struct {
	Repairs []repair `json:"repairs"`
}

type repair struct {
	Claim string `json:"claim"`
	Drop  bool   `json:"drop"`
	Text  string `json:"text"`
	Cites []cite `json:"cites"`
}
