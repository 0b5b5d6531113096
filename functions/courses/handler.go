// Package courses is the API of courses, their sources, and the jobs that write
// and film them.
package courses

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/blob"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/job"
	"lectern.dev/lectern/internal/live"
	"lectern.dev/lectern/internal/postgres"
)

// Deps are the parts that the handler works with.
type Deps struct {
	DB             postgres.Beginner
	Bucket         blob.Bucket
	Board          live.Board
	Runner         *job.Runner
	Gate           edge.Gate
	TrustedOrigins []string
	Front          edge.Front

	// film's functions of these names.
	StartRender  func(ctx context.Context, r *job.Runner, p account.Principal, lesson string) (job.Job, error)
	StartRenders func(ctx context.Context, r *job.Runner, p account.Principal, course string) (job.Job, error)
}

// maxBody is above the largest lesson: 40 slides with all of their evidence.
const maxBody = 8 << 20

type server struct{ Deps }

// New makes the handler: the routes, which are the manual, behind the edge.
func New(d Deps) http.Handler {
	return edge.HTTP(newAPI(d), edge.Options{MaxBody: maxBody, TrustedOrigins: d.TrustedOrigins, Front: d.Front})
}

// Who may do what. Questions carry their answers, and sources are the authors' own.
var (
	learners = edge.Policy{Role: string(account.Learner), Scope: account.ReadCourses}
	authors  = edge.Policy{Role: string(account.Author), Scope: account.ReadCourses}
	writes   = edge.Policy{Role: string(account.Author), Scope: account.WriteCourses}
)

func newAPI(d Deps) *edge.API {
	s := &server{d}
	api := edge.NewAPI("Lectern: courses", about, d.Gate)

	edge.Register(api, learners, edge.Read("list-courses", "/v1/courses", "List courses", "Newest first, without their outlines."), s.listCourses)
	edge.Register(api, writes, edge.Make("create-course", "/v1/courses", "Make a course", "It is empty at first: write it with modules and lessons, or let it be written from sources (start-generation)."), s.createCourse)
	edge.Register(api, learners, edge.Read("get-course", "/v1/courses/{course}", "Read a course", "With its outline: modules and lessons in order, and how each lesson's video stands."), s.getCourse)
	edge.Register(api, writes, edge.Change("update-course", "/v1/courses/{course}", "Change a course", patches), s.updateCourse)
	edge.Register(api, writes, edge.Remove("delete-course", "/v1/courses/{course}", "Delete a course", "With all that is in it: modules, lessons, sources, videos. Its open jobs are canceled."), s.deleteCourse)
	edge.Register(api, writes, edge.Replace("set-outline", "/v1/courses/{course}/outline", "Order modules and lessons", "Sets the whole order in one go and may move lessons between modules. The order names every module and every lesson of the course exactly once."), s.setOutline)

	edge.Register(api, writes, edge.Make("create-module", "/v1/courses/{course}/modules", "Add a module", "At the end of the course."), s.createModule)
	edge.Register(api, writes, edge.Change("update-module", "/v1/modules/{module}", "Change a module", patches), s.updateModule)
	edge.Register(api, writes, edge.Remove("delete-module", "/v1/modules/{module}", "Delete a module", "With its lessons and their videos."), s.deleteModule)

	edge.Register(api, writes, edge.Make("create-lesson", "/v1/modules/{module}/lessons", "Add a lesson", "At the end of the module."), s.createLesson)
	edge.Register(api, learners, edge.Read("get-lesson", "/v1/lessons/{lesson}", "Read a lesson", "With its article and, when there is one, its video. The video's URLs answer range requests and are valid for some hours: read the lesson again for fresh ones."), s.getLesson)
	edge.Register(api, writes, edge.Change("update-lesson", "/v1/lessons/{lesson}", "Change a lesson", patches), s.updateLesson)
	edge.Register(api, writes, edge.Remove("delete-lesson", "/v1/lessons/{lesson}", "Delete a lesson", "With its slides, questions and videos."), s.deleteLesson)

	edge.Register(api, learners, edge.Read("get-slides", "/v1/lessons/{lesson}/slides", "Read a lesson's slides", "In order. Their version is the lesson's."), s.getSlides)
	edge.Register(api, writes, large(edge.Replace("set-slides", "/v1/lessons/{lesson}/slides", "Replace a lesson's slides", "A slide that names its id keeps it; one without an id is new; one that is not named is gone.")), s.setSlides)
	edge.Register(api, writes, edge.Change("update-slide", "/v1/lessons/{lesson}/slides/{slide}", "Change a slide", patches), s.updateSlide)
	edge.Register(api, authors, edge.Read("get-questions", "/v1/lessons/{lesson}/questions", "Read a lesson's questions", "In order. Their version is the lesson's."), s.getQuestions)
	edge.Register(api, writes, edge.Replace("set-questions", "/v1/lessons/{lesson}/questions", "Replace a lesson's questions", "A question that names its id keeps it; one without an id is new; one that is not named is gone."), s.setQuestions)

	edge.Register(api, writes, edge.Make("add-source", "/v1/courses/{course}/sources", "Add a source", "Names a document and gives the request that uploads it: send exactly that method, URL and headers with the file as body within an hour. It is read as soon as it has arrived. Markdown, text, HTML, PDF, Word and PowerPoint up to 50 MB."), s.addSource)
	edge.Register(api, authors, edge.Read("list-sources", "/v1/courses/{course}/sources", "List a course's sources", "In the order in which they were added."), s.listSources)
	edge.Register(api, writes, edge.Remove("delete-source", "/v1/sources/{source}", "Delete a source", "With its file and its passages. What was written from it stays."), s.deleteSource)
	edge.Register(api, authors, edge.Read("search-passages", "/v1/courses/{course}/passages", "Search a course's sources", "The passages that a query is about, the best first: words, \"phrases\", -exclusions."), s.searchPassages)

	edge.Register(api, writes, accept("start-generation", "/v1/courses/{course}/generations", "Write a course", "Agents plan the course from its sources, then write and check every lesson. A second call while that goes on gives the same job."), s.startGeneration)
	edge.Register(api, writes, accept("start-render", "/v1/lessons/{lesson}/renders", "Film a lesson", "A second call while that goes on gives the same job."), s.startRender)
	edge.Register(api, writes, accept("start-renders", "/v1/courses/{course}/renders", "Film a course", "Every lesson whose video is missing or older than its slides."), s.startRenders)
	edge.Register(api, authors, edge.Read("list-jobs", "/v1/courses/{course}/jobs", "List a course's jobs", "The newest, newest first."), s.listJobs)
	edge.Register(api, authors, edge.Read("get-job", "/v1/jobs/{job}", "Read a job", "Its state, how much is done, and what happens now."), s.getJob)
	edge.Register(api, writes, with(edge.Remove("cancel-job", "/v1/jobs/{job}", "Cancel a job", "Its work stops within two seconds; what was finished is kept. A job that has ended comes back as it is."), http.StatusOK), s.cancelJob)
	edge.Register(api, writes, accept("resume-job", "/v1/jobs/{job}/resume", "Go on with a job", "One that failed, was canceled or waits. What was finished is not done again."), s.resumeJob)
	edge.RegisterStream(api, authors, edge.Read("watch-job", "/v1/jobs/{job}/events", "Watch a job", watching), map[string]any{"progress": job.Job{}, "done": job.Job{}, "failed": job.Job{}}, s.watchJob)
	return api
}

const (
	about = "Courses with their modules, lessons, slides and questions; the sources that they rest on; and the jobs that write and film them.\n\n" +
		"Every answer carries X-Request-Id, errors are RFC 9457 problem documents. Reads carry an ETag: send it back as If-None-Match to " +
		"get 304 while nothing changed, and as If-Match with a write to be refused with 412 when somebody else was quicker. " +
		"Writes take an Idempotency-Key: sent again with the same key within a day, a write answers as it did the first time and does nothing."
	patches  = "Takes a JSON merge patch (RFC 7396): what is absent stays, null clears what is optional, lists are replaced as a whole."
	watching = "Server-sent events, each with the whole job as data and its version as id. `progress` comes at once with the present state, then at every " +
		"change, at most a second later; `done` when the job succeeded; `failed` when it failed or was canceled (state tells which). " +
		"The stream ends after the last two; asked again with that Last-Event-ID it answers 204, upon which an EventSource stops."
)

// accept is post for what begins now, is done later, and is paid for.
func accept(id, path, summary, description string) huma.Operation {
	op := edge.Operation(http.MethodPost, id, path, summary, description, http.StatusAccepted)
	op.Errors = []int{http.StatusPaymentRequired}
	return op
}

// large lets an operation take bodies up to maxBody; others take 1 MiB.
func large(op huma.Operation) huma.Operation {
	op.MaxBodyBytes = maxBody
	return op
}

func with(op huma.Operation, status int) huma.Operation {
	op.DefaultStatus = status
	return op
}
