package source

import (
	"context"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/postgres"
)

// Hit is a passage that answers a query. Rank is between 0 and 1 and compares hits
// of one query only: lists of different indexes are merged by place, not by rank.
type Hit struct {
	Passage
	Rank float64 `json:"rank"`
}

// longestQuery is how many characters of a query are looked at.
const longestQuery = 1000

// Search finds the passages of a course that a query is about, the best first. The
// query is what people type: words, "phrases", -exclusions. When no passage holds
// all of its words, those come that hold the most of them, rare words before common
// ones; what is excluded stays away.
func Search(ctx context.Context, q postgres.Querier, organization, course, query string, limit int) ([]Hit, error) {
	query = firstRunes(clean(query), longestQuery)
	hits, err := allWords(ctx, q, organization, course, query, limit)
	if err != nil || len(hits) > 0 {
		return hits, err
	}
	return anyWord(ctx, q, organization, course, query, limit)
}

// Related finds the passages of a course that hold the most of a query's words, also
// where others hold all of them: for who needs more than those say.
func Related(ctx context.Context, q postgres.Querier, organization, course, query string, limit int) ([]Hit, error) {
	return anyWord(ctx, q, organization, course, firstRunes(clean(query), longestQuery), limit)
}

// allWords asks the full text index. Each source is asked in its own language; a word in
// a heading counts more than one in the text. Rank flags: 1 favors short passages,
// 32 brings the rank below 1.
func allWords(ctx context.Context, q postgres.Querier, organization, course, query string, limit int) ([]Hit, error) {
	return collectHits(q.Query(ctx, `
		SELECT `+passageColumns+`, ts_rank_cd(p.lexemes, c.query, 1 | 32)
		FROM (
			SELECT configuration, websearch_to_tsquery(configuration, $3) AS query
			FROM passages
			WHERE organization_id = $1 AND course_id = $2
			GROUP BY configuration) c
		JOIN passages p ON p.configuration = c.configuration AND p.lexemes @@ c.query
		WHERE p.organization_id = $1 AND p.course_id = $2
		ORDER BY ts_rank_cd(p.lexemes, c.query, 1 | 32) DESC, p.source_id, p.position
		LIMIT $4`, organization, course, searchable(query), limit))
}

// queryWords is how many words of a query anyWord looks for.
const queryWords = 40

// anyWord ranks by the share of the query that a passage holds, where each word weighs
// the more the fewer passages hold it: "a wall of concrete" is about concrete.
func anyWord(ctx context.Context, q postgres.Querier, organization, course, query string, limit int) ([]Hit, error) {
	wanted, excluded := exclusions(query)
	words := strings.FieldsFunc(strings.ToLower(searchable(wanted)), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !strings.ContainsRune("-.'’", r)
	})
	return collectHits(q.Query(ctx, `
		WITH here AS (
			SELECT passage_id, configuration, lexemes
			FROM passages
			WHERE organization_id = $1 AND course_id = $2
				AND NOT EXISTS (SELECT FROM unnest($5::text[]) AS w WHERE lexemes @@ phraseto_tsquery(configuration, w))
		), word AS (
			SELECT DISTINCT c.configuration, plainto_tsquery(c.configuration, w) AS query
			FROM (SELECT DISTINCT configuration FROM here) c, unnest($3::text[]) AS w
		), found AS (
			SELECT h.passage_id, w.configuration, w.query, ts_rank(h.lexemes, w.query) AS density
			FROM word w
			JOIN here h ON h.configuration = w.configuration AND h.lexemes @@ w.query
		), rarity AS (
			SELECT configuration, query, ln(1 + (SELECT count(*) FROM here)::float8 / count(*)) AS weight
			FROM found
			GROUP BY configuration, query
		), ranked AS (
			SELECT passage_id, sum(weight * (1 + density)) / (SELECT 2 * sum(weight) FROM rarity) AS rank
			FROM found
			JOIN rarity USING (configuration, query)
			GROUP BY passage_id
			ORDER BY rank DESC, passage_id
			LIMIT $4)
		SELECT `+passageColumns+`, r.rank
		FROM ranked r
		JOIN passages p USING (passage_id)
		WHERE p.organization_id = $1
		ORDER BY r.rank DESC, p.source_id, p.position`,
		organization, course, words[:min(len(words), queryWords)], limit, excluded[:min(len(excluded), queryWords)]))
}

// exclusion is a word or phrase behind a hyphen that begins a word, as
// websearch_to_tsquery has it.
var exclusion = regexp.MustCompile(`(^|\s)-("[^"]*"|\S+)`)

// exclusions divides a query into what is looked for and what is not wanted.
func exclusions(query string) (wanted string, excluded []string) {
	for _, found := range exclusion.FindAllStringSubmatch(query, -1) {
		excluded = append(excluded, searchable(found[2]))
	}
	return exclusion.ReplaceAllString(query, " "), excluded
}

func collectHits(rows pgx.Rows, err error) ([]Hit, error) {
	if err != nil {
		return nil, postgres.Fault(err)
	}
	hits, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h Hit, err error) {
		err = row.Scan(append(h.columns(), &h.Rank)...)
		return h, err
	})
	return hits, postgres.Fault(err)
}

// clean takes out what Postgres cannot hold.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, " "), "\x00", " ")
}

func firstRunes(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}

// configurations names Postgres's text search configuration for a language; it has
// none for others, whose words are indexed as they stand.
var configurations = map[string]string{
	"ar": "arabic", "hy": "armenian", "eu": "basque", "ca": "catalan", "da": "danish", "nl": "dutch", "en": "english",
	"fi": "finnish", "fr": "french", "de": "german", "el": "greek", "hi": "hindi", "hu": "hungarian", "id": "indonesian",
	"ga": "irish", "it": "italian", "lt": "lithuanian", "ne": "nepali", "no": "norwegian", "nb": "norwegian", "nn": "norwegian",
	"pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian", "es": "spanish", "sv": "swedish", "ta": "tamil",
	"tr": "turkish", "yi": "yiddish",
}

func configuration(language string) string {
	if c, ok := configurations[language]; ok {
		return c
	}
	return "simple"
}

// searchable writes scripts that have no spaces between words as overlapping pairs
// of characters, which is what Postgres's parser can then index; other text stays.
func searchable(s string) string {
	if !strings.ContainsFunc(s, unspaced) {
		return s
	}
	var out strings.Builder
	runes := []rune(s)
	for i, r := range runes {
		switch {
		case !unspaced(r):
			out.WriteRune(r)
			continue
		case i+1 < len(runes) && unspaced(runes[i+1]):
			out.WriteString(" " + string(runes[i:i+2]) + " ")
		case i == 0 || !unspaced(runes[i-1]):
			out.WriteString(" " + string(r) + " ")
		}
	}
	return out.String()
}

func unspaced(r rune) bool {
	return r >= 0xe00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}
