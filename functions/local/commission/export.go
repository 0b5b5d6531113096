package commission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/postgres"
	"lectern.dev/lectern/internal/source"
)

// Exporter writes finished courses into folders.
type Exporter struct {
	Maker  *Maker
	DB     postgres.Querier
	Bucket blob.Store
}

// Exported is course.json: the course as the API shows it, with all that is in it.
// Its videos name files beside it.
type Exported struct {
	course.Course
	Sources []source.Source  `json:"sources"`
	Modules []ExportedModule `json:"modules"`
}

// ExportedModule is a module with whole lessons.
type ExportedModule struct {
	course.Module
	Lessons []ExportedLesson `json:"lessons"`
}

// ExportedLesson is a lesson with its slides and questions.
type ExportedLesson struct {
	Number int `json:"number" doc:"1-based, through the whole course; the first part of its files' names"`
	course.Lesson
	Slides    []course.Slide    `json:"slides"`
	Questions []course.Question `json:"questions"`
}

// courseFile is by what a folder is known to be ours.
const courseFile = "course.json"

// ourFiles is how Export names what it writes.
var ourFiles = regexp.MustCompile(`^(course\.(json|md)|\d{2,}-[a-z0-9-]+\.(mp4|vtt|jpg|md))$`)

// CheckOut tells why a folder cannot be written to: it holds something else. An
// earlier course in it is going to be removed, so nothing else may lie beside that.
func CheckOut(folder string) error {
	entries, err := os.ReadDir(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%s cannot be written to: %w", folder, unwrapPath(err))
	case len(entries) == 0:
		return nil
	}
	if _, err := os.Stat(filepath.Join(folder, courseFile)); err != nil {
		return fmt.Errorf("%s is not empty and holds no earlier course; choose another -out folder", folder)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !ourFiles.MatchString(e.Name()) {
			return fmt.Errorf("%s holds %q beside an earlier course, which would be removed with it; choose another -out folder", folder, e.Name())
		}
	}
	return nil
}

// Export writes course.json, course.md and four files per lesson into a folder. It
// stands there whole or not at all; an earlier course in it is replaced.
func (e *Exporter) Export(ctx context.Context, id, folder string) error {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	whole, err := e.collect(ctx, id)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(folder), ".lectern-out-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	if err := e.write(ctx, &whole, fresh); err != nil {
		return err
	}
	if err := os.Chmod(fresh, 0o755); err != nil {
		return err
	}
	return replace(folder, fresh)
}

// replace puts fresh in the place of folder.
func replace(folder, fresh string) error {
	if err := CheckOut(folder); err != nil {
		return err
	}
	old := fresh + ".old"
	if err := os.Rename(folder, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh, folder); err != nil {
		return errors.Join(err, os.Rename(old, folder))
	}
	return os.RemoveAll(old)
}

func (e *Exporter) collect(ctx context.Context, id string) (whole Exported, err error) {
	path := "/v1/courses/" + url.PathEscape(id)
	if whole.Course, err = call[course.Course](ctx, e.Maker, http.MethodGet, path, nil); err != nil {
		return whole, err
	}
	sources, err := call[items[source.Source]](ctx, e.Maker, http.MethodGet, path+"/sources?limit=100", nil)
	if err != nil {
		return whole, err
	}
	whole.Sources = sources.Items
	number := 0
	for _, m := range whole.Course.Modules {
		module := ExportedModule{Module: m}
		for _, l := range m.Lessons {
			number++
			lesson, err := e.lesson(ctx, l.ID, number)
			if err != nil {
				return whole, err
			}
			module.Lessons = append(module.Lessons, lesson)
		}
		whole.Modules = append(whole.Modules, module)
	}
	return whole, nil
}

func (e *Exporter) lesson(ctx context.Context, id string, number int) (l ExportedLesson, err error) {
	path := "/v1/lessons/" + url.PathEscape(id)
	l.Number = number
	if l.Lesson, err = call[course.Lesson](ctx, e.Maker, http.MethodGet, path, nil); err != nil {
		return l, err
	}
	slides, err := call[items[course.Slide]](ctx, e.Maker, http.MethodGet, path+"/slides", nil)
	if err != nil {
		return l, err
	}
	questions, err := call[items[course.Question]](ctx, e.Maker, http.MethodGet, path+"/questions", nil)
	l.Slides, l.Questions = slides.Items, questions.Items
	return l, err
}

func (e *Exporter) write(ctx context.Context, whole *Exported, folder string) error {
	for i := range whole.Modules {
		for j := range whole.Modules[i].Lessons {
			if err := e.film(ctx, &whole.Modules[i].Lessons[j], folder); err != nil {
				return err
			}
		}
	}
	encoded, err := json.MarshalIndent(whole, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, courseFile), append(encoded, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "course.md"), []byte(markdown(whole)), 0o644)
}

// film fetches a lesson's video and what belongs to it, and lets the lesson name the files.
func (e *Exporter) film(ctx context.Context, l *ExportedLesson, folder string) error {
	if l.Video == nil {
		return fmt.Errorf("the lesson %q has no video", l.Title)
	}
	video, err := course.ReadyVideo(ctx, e.DB, account.Local.Organization, l.ID)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%02d-%s", l.Number, slug(l.Title))
	for object, ending := range map[string]string{
		course.VideoFile: ".mp4", course.CaptionsFile: ".vtt", course.PosterFile: ".jpg", course.TranscriptFile: ".md",
	} {
		if err := e.fetch(ctx, video.Folder+object, filepath.Join(folder, name+ending)); err != nil {
			return err
		}
	}
	l.Video.URL, l.Video.CaptionsURL, l.Video.PosterURL = name+".mp4", name+".vtt", name+".jpg"
	return nil
}

func (e *Exporter) fetch(ctx context.Context, key, path string) error {
	content, _, err := e.Bucket.Open(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

// slug makes a title fit for a file name: "Über Pakete" becomes "uber-pakete".
func slug(title string) string {
	var out strings.Builder
	for _, r := range norm.NFKD.String(title) {
		switch {
		case r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			out.WriteRune(unicode.ToLower(r))
		case !unicode.Is(unicode.Mn, r) && out.Len() > 0 && !strings.HasSuffix(out.String(), "-"):
			out.WriteByte('-')
		}
		if out.Len() >= 60 {
			break
		}
	}
	if s := strings.Trim(out.String(), "-"); s != "" {
		return s
	}
	return "lesson"
}
