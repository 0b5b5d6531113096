package house

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"

	"lectern.dev/lectern/functions/auth"
	"lectern.dev/lectern/functions/chat"
	"lectern.dev/lectern/functions/courses"
	"lectern.dev/lectern/functions/finalize"
	"lectern.dev/lectern/functions/generate"
	"lectern.dev/lectern/functions/ingest"
	"lectern.dev/lectern/functions/render"
	"lectern.dev/lectern/functions/sweep"
	"lectern.dev/lectern/functions/web"
	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/conversation/relay"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/ffmpeg"
	"lectern.dev/lectern/internal/film"
	"lectern.dev/lectern/internal/job"
)

// functions are the handlers of the deployables.
type functions struct {
	web, auth, courses, chat, generate, ingest, render, finalize, sweep http.Handler
}

// functions gives every function the parts that it stands on here.
func (h *House) functions() (f functions, err error) {
	ledger, err := h.models.ledger(h.pool)
	if err != nil {
		return f, err
	}
	return f, errors.Join(h.facing(&f, ledger), h.working(&f, ledger))
}

// facing makes what people and programs reach, through the gateway.
func (h *House) facing(f *functions, ledger *budget.Ledger) error {
	tenants, err := h.models.ledger(h.tenants)
	if err != nil {
		return err
	}
	hasher, err := h.hasher()
	if err != nil {
		return err
	}
	// No address is verified: all letters come to who has started this.
	desk, err := account.NewDesk(account.Parts{DB: h.pool, Hasher: hasher, Mail: h.mail(), PublicURL: h.URL()})
	if err != nil {
		return err
	}
	front := edge.Front{GatewayKeys: []string{rand.Text() + rand.Text()}} // nobody else knows it
	f.web = web.New(web.Deps{Courses: h.inside("/courses"), Auth: h.inside("/auth"), Chat: h.inside("/chat"), Front: front, Terminal: h.opts.Letters != nil})
	f.auth = auth.New(auth.Deps{DB: h.pool, Gate: access.New(h.pool, h.tokens, hasher), Hasher: hasher, Desk: desk, Ledger: ledger, Front: front})
	f.courses = courses.New(courses.Deps{
		DB: h.tenants, Bucket: h.bucket, Board: h.board, Front: front,
		Runner:      &job.Runner{DB: h.tenants, Queue: h.queue, Board: h.board, Limits: h.models.Limits.Jobs(), Afford: tenants.Afford},
		Gate:        access.New(h.tenants, h.tokens, hasher),
		StartRender: film.StartRender, StartRenders: film.StartRenders,
	})
	return h.talking(f, tenants, hasher, front)
}

// talking makes the tutor.
func (h *House) talking(f *functions, ledger *budget.Ledger, hasher *account.Hasher, front edge.Front) error {
	model, err := chat.NewModel(h.models.tutor(), ledger)
	if err != nil {
		return err
	}
	f.chat = chat.New(chat.Deps{
		DB: h.tenants, System: h.pool, Relay: relay.New(relay.Options{DB: h.log}), Model: model, Ledger: ledger,
		Limits: h.models.Chat, Alone: true, Telemetry: chat.Telemetry{Tracers: h.tracing.Tracers}, Gate: access.New(h.tenants, h.tokens, hasher), Front: front,
	})
	return nil
}

// working makes what the queue, the events and the scheduler call.
func (h *House) working(f *functions, ledger *budget.Ledger) error {
	writer, err1 := generate.NewModel(h.models.Writer, ledger)
	speaker, err2 := h.models.speaker(ledger)
	queue, err3 := h.callers(queueAccount)
	events, err4 := h.callers(eventsAccount)
	scheduler, err5 := h.callers(schedulerAccount)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	studio := film.New(film.Deps{Bucket: h.bucket, Speaker: speaker, Encoder: ffmpeg.Encoder{}})
	f.generate = generate.New(generate.Deps{Callers: queue, DB: h.pool, Queue: h.queue, Board: h.board, Model: writer})
	f.ingest = ingest.New(ingest.Deps{Callers: queue, DB: h.pool, Queue: h.queue, Board: h.board, Bucket: h.bucket})
	f.render = render.New(render.Deps{Callers: queue, DB: h.pool, Queue: h.queue, Board: h.board, Studio: studio, Meter: render.NewMeter(ledger)})
	f.finalize = finalize.New(finalize.Deps{Callers: events, DB: h.pool, Queue: h.queue, Board: h.board, Bucket: h.bucket})
	f.sweep = sweep.New(sweep.Deps{Callers: scheduler, Pool: h.pool, Ledger: ledger, Queue: h.queue, Board: h.board, Bucket: h.bucket})
	return nil
}

// hasher hashes passwords as in production, unless this house is thrown away.
func (h *House) hasher() (*account.Hasher, error) {
	var o account.HashOptions
	if h.opts.Throwaway {
		o.Cost = account.HashCost{MemoryKiB: 8, Iterations: 1, Lanes: 1}
	}
	return account.NewHasher(o)
}

// outside is what people reach: the pages with their gateway, and the objects that
// a signed URL names. Both are on one origin, so that pages can play films.
func (h *House) outside(web http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", web)
	mux.HandleFunc("/"+bucketName+"/", func(w http.ResponseWriter, r *http.Request) {
		edge.LongLived(w) // a large file over a slow line
		w.Header().Set("X-Content-Type-Options", "nosniff")
		r = r.WithContext(r.Context())
		r.Host = h.host() // that of the signature; people may know this machine by another name
		h.storage.ServeHTTP(w, r)
	})
	return mux
}

// indoors is what on Google Cloud is not public, each function below its name.
func (h *House) indoors(f functions) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /.well-known/jwks.json", h.issuer.JWKS())
	for name, function := range map[string]http.Handler{
		"/auth": f.auth, "/courses": f.courses, "/chat": f.chat, "/generate": f.generate, "/ingest": f.ingest,
		"/render": f.render, "/finalize": f.finalize, "/sweep": f.sweep,
	} {
		mux.Handle(name+"/", http.StripPrefix(name, function))
	}
	return mux
}

// finishing has the tutor finish its answers, or hand them over, when the server is
// told to stop; see edge.Serve.
type finishing struct {
	http.Handler
	chat http.Handler
}

// Drain implements what edge.Serve looks for.
func (f finishing) Drain(ctx context.Context) {
	if d, ok := f.chat.(interface{ Drain(context.Context) }); ok {
		d.Drain(ctx)
	}
}
