package offline

import "strings"

// summaryOf sums a conversation up by its learner's questions, and the beginnings of
// the answers to the last of them.
func summaryOf(before, said string) string {
	const most = 1_600 // bytes
	var parts []string
	if before = strings.TrimSpace(before); before != "" {
		parts = append(parts, before)
	}
	for turn := range strings.SplitSeq(said, "\n\n") {
		who, words, found := strings.Cut(strings.Join(strings.Fields(turn), " "), ": ")
		if !found || who != "Learner" && who != "Tutor" {
			continue
		}
		if end := strings.IndexAny(words, ".?!"); end > 0 {
			words = words[:end+1]
		}
		if r := []rune(words); len(r) > 160 {
			words = string(r[:160]) + "…"
		}
		parts = append(parts, who+": "+words)
	}
	text := strings.Join(parts, "\n")
	for len(text) > most { // what is oldest goes first
		_, rest, found := strings.Cut(text, "\n")
		if !found {
			return strings.ToValidUTF8(text[:most], "")
		}
		text = rest
	}
	return text
}
