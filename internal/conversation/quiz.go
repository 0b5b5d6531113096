package conversation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/postgres"
)

// quiz is where a quiz stands when a turn begins. The program asks and judges; a
// model only explains, and is told the key when the learner has chosen.
type quiz struct {
	questions int                    // that there are
	open      *course.LessonQuestion // asked, and not answered yet
	judged    *course.LessonQuestion // was open, and has been answered now
	choice    int                    // what the learner chose of it
	next      *course.LessonQuestion // to ask now
	nth       int                    // which one that is on this branch, from 1
}

// readQuiz reads the questions of a session's lesson, or of its course when the lesson
// has none, and finds out where the branch stands.
func readQuiz(ctx context.Context, q postgres.Querier, organization string, turn Turn) (quiz, error) {
	all, err := course.AllQuestions(ctx, q, organization, turn.Session.CourseID)
	if err != nil {
		return quiz{}, err
	}
	return standOf(all, turn), nil
}

func standOf(all []course.LessonQuestion, turn Turn) quiz {
	find := func(id string) *course.LessonQuestion {
		i := slices.IndexFunc(all, func(q course.LessonQuestion) bool { return q.ID == id })
		if i < 0 {
			return nil
		}
		return &all[i]
	}
	asked := map[string]bool{}
	open := ""
	for _, m := range turn.History {
		if m.Role != Assistant || m.State == Failed {
			continue
		}
		open = ""
		if m.Quiz != nil && m.Quiz.Question != "" {
			open = m.Quiz.Question
			asked[open] = true
		}
	}
	z := quiz{questions: len(all), open: find(open)}
	if z.open != nil {
		choice, ok := choose(z.open.Choices, turn.Question.Content)
		if !ok {
			return z
		}
		z.judged, z.choice, z.open = z.open, choice, nil
	}
	z.next = nextQuestion(all, asked, turn)
	z.nth = len(asked) + 1
	return z
}

// nextQuestion picks one that was not asked on this branch: first those of the lesson
// beside which the session stands, of them first those that the learner's words are about.
func nextQuestion(all []course.LessonQuestion, asked map[string]bool, turn Turn) *course.LessonQuestion {
	wanted := words(turn.Question.Content)
	best, most := -1, -1
	for i, q := range all {
		if asked[q.ID] {
			continue
		}
		score := 0
		for _, w := range words(q.Prompt) {
			if slices.Contains(wanted, w) {
				score++
			}
		}
		if q.Lesson == turn.Session.LessonID {
			score += 1000
		}
		if score > most {
			best, most = i, score
		}
	}
	if best < 0 {
		return nil
	}
	return &all[best]
}

// choose reads which choice a reply means: by its letter, its number, or its words.
func choose(choices []string, reply string) (int, bool) {
	said := plain(reply)
	if said == "" {
		return 0, false
	}
	for i, c := range choices {
		if said == plain(c) {
			return i, true
		}
	}
	fields := strings.Fields(said)
	// "B", "2", "b) 1974", "answer c", "I think it is B".
	pick := func(word string) (int, bool) {
		if len(word) != 1 {
			return 0, false
		}
		n := int(word[0] - 'a')
		if unicode.IsDigit(rune(word[0])) {
			n = int(word[0] - '1')
		}
		return n, n >= 0 && n < len(choices)
	}
	if n, ok := pick(fields[0]); ok && (len(fields) == 1 || strings.Join(fields[1:], " ") == plain(choices[n]) || fields[0] != "a" && len(fields) <= 4) {
		return n, true
	}
	if n, ok := pick(fields[len(fields)-1]); ok && len(fields) <= 6 && !strings.Contains(reply, "?") {
		return n, true
	}
	// The words of one choice, and of no other, in a reply.
	found := -1
	for i, c := range choices {
		if words := plain(c); words != "" && strings.Contains(" "+said+" ", " "+words+" ") {
			if found >= 0 && len(plain(choices[found])) == len(words) || strings.Contains(reply, "?") {
				return 0, false
			}
			if found < 0 || len(words) > len(plain(choices[found])) {
				found = i
			}
		}
	}
	return found, found >= 0
}

// plain gives a text's words in lower case, with single spaces.
func plain(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	}), " ")
}

// right tells whether the choice was the key.
func (z quiz) right() bool { return z.choice == z.judged.Key }

// note is what is stored with the answer.
func (z quiz) note() *Quiz {
	var note Quiz
	if z.judged != nil {
		right := z.right()
		note.Judged, note.Right = z.judged.ID, &right
	}
	if asked := z.asks(); asked != nil {
		note.Question, note.Lesson = asked.ID, asked.Lesson
	}
	if note == (Quiz{}) {
		return nil
	}
	return &note
}

// needsModel tells whether there is something to say that the program does not say itself.
func (z quiz) needsModel() bool { return z.questions == 0 || z.judged != nil || z.open != nil }

// goesOn tells whether the program asks the next question itself.
func (z quiz) goesOn(turn Turn) bool {
	return turn.Task.Name == quizTask && z.questions > 0 && z.open == nil
}

// verdict is what is stored when nothing more is asked.
func (z quiz) verdict() *Quiz {
	z.next = nil
	return z.note()
}

// asks gives the question that stands open when the answer is there.
func (z quiz) asks() *course.LessonQuestion {
	if z.open != nil {
		return z.open
	}
	return z.next
}

// letter names a choice.
func letter(i int) string { return string(rune('A' + i)) }

// goOn is what the program itself says: the next question, or how the quiz went.
func (z quiz) goOn(language string, turn Turn) string {
	say := quizWords(language)
	if z.next != nil {
		return fmt.Sprintf(say.question, z.nth) + "\n\n" + shownQuestion(z.next) + "\n\n" + say.choose
	}
	answered, right := 0, 0
	count := func(q *Quiz) {
		if q != nil && q.Right != nil {
			answered++
			if *q.Right {
				right++
			}
		}
	}
	for _, m := range turn.History {
		count(m.Quiz)
	}
	count(z.note())
	if answered == 0 {
		return say.none
	}
	return fmt.Sprintf(say.done, right, answered)
}

// quizPhrases are what a quiz says beside its questions.
type quizPhrases struct{ question, choose, done, none string }

func quizWords(language string) quizPhrases {
	base, _, _ := strings.Cut(strings.ToLower(language), "-")
	switch base {
	case "de":
		return quizPhrases{"Frage %d:", "Antworte mit dem Buchstaben.", "Das waren alle Fragen. Du hast %d von %d richtig beantwortet.", "Es gibt keine weiteren Fragen."}
	case "fr":
		return quizPhrases{"Question %d :", "Répondez par la lettre.", "C’étaient toutes les questions. Vous avez répondu juste à %d sur %d.", "Il n’y a plus de questions."}
	case "es":
		return quizPhrases{"Pregunta %d:", "Responde con la letra.", "Esas eran todas las preguntas. Has acertado %d de %d.", "No hay más preguntas."}
	case "it":
		return quizPhrases{"Domanda %d:", "Rispondi con la lettera.", "Le domande sono finite. Hai risposto bene a %d su %d.", "Non ci sono altre domande."}
	case "pt":
		return quizPhrases{"Pergunta %d:", "Responde com a letra.", "Eram todas as perguntas. Acertaste %d de %d.", "Não há mais perguntas."}
	}
	return quizPhrases{"Question %d:", "Answer with the letter.", "Those were all the questions. You answered %d of %d rightly.", "There are no more questions."}
}

// shownQuestion writes a question with its choices.
func shownQuestion(q *course.LessonQuestion) string {
	var out strings.Builder
	out.WriteString("**" + strings.TrimSpace(q.Prompt) + "**\n")
	for i, c := range q.Choices {
		out.WriteString("\n- " + letter(i) + ") " + strings.TrimSpace(c))
	}
	return out.String()
}
