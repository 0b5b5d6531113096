package courses

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"lectern.dev/lectern/internal/account"
	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/idempotency"
	"lectern.dev/lectern/internal/source"
)

type addSource struct {
	ByCourse
	idempotency.Keyed
	Body struct {
		Name        string `json:"name" minLength:"1" maxLength:"255" example:"handbook.pdf"`
		ContentType string `json:"content_type,omitempty" maxLength:"200" doc:"as the browser says; the name's extension decides" example:"application/pdf"`
		Size        int64  `json:"size" minimum:"1" doc:"bytes, exactly"`
	}
}

// upload is a source and the request that brings its file.
type upload struct {
	Location string `header:"Location"`
	Body     struct {
		Source source.Source `json:"source"`
		Upload struct {
			URL     string            `json:"url"`
			Method  string            `json:"method" example:"PUT"`
			Headers map[string]string `json:"headers" doc:"to be sent exactly; they are part of the signature"`
		} `json:"upload"`
	}
}

func (s *server) addSource(ctx context.Context, in *addSource) (*upload, error) {
	added, err := idempotency.Write(ctx, s.DB, "add-source", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*keptSource, error) {
		src, err := source.Create(ctx, tx, p.Organization, in.Course, source.NewSource{Name: in.Body.Name, ContentType: in.Body.ContentType, Size: in.Body.Size})
		return &keptSource{src, src.Object}, err
	})
	if err != nil {
		return nil, err
	}
	added.Source.Object = added.Object
	request, err := source.Sign(ctx, s.Bucket, added.Source)
	if err != nil {
		return nil, err
	}
	out := &upload{Location: "/v1/courses/" + in.Course + "/sources"}
	out.Body.Source = added.Source
	out.Body.Upload.URL, out.Body.Upload.Method, out.Body.Upload.Headers = request.URL, request.Method, request.Headers
	return out, nil
}

// keptSource is what is kept for an Idempotency-Key: not the signed URL, which is
// over soon, but what it is signed for.
type keptSource struct {
	Source source.Source
	Object string
}

// listSources pages through what source.List gives as a whole: at most a hundred.
func (s *server) listSources(ctx context.Context, in *struct {
	ByCourse
	edge.Page
},
) (*edge.Listed[source.Source], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	if err := course.Exists(ctx, s.DB, p.Organization, in.Course); err != nil {
		return nil, err
	}
	sources, err := source.List(ctx, s.DB, p.Organization, in.Course)
	if err != nil {
		return nil, err
	}
	if in.Cursor != "" {
		at, id, found := strings.Cut(in.Cursor, ".")
		made, err := strconv.ParseInt(at, 36, 64)
		if err != nil || !found {
			return nil, fault.New(fault.Invalid, "The cursor is not one that this list gave. Begin again without it.")
		}
		sources = slices.DeleteFunc(sources, func(s source.Source) bool {
			return cmp.Or(cmp.Compare(s.CreatedAt.UnixMicro(), made), cmp.Compare(s.ID, id)) <= 0
		})
	}
	next := ""
	if len(sources) > in.Limit {
		sources = sources[:in.Limit]
		// Its place, not only its id: it may be deleted before the next page is asked for.
		last := sources[in.Limit-1]
		next = strconv.FormatInt(last.CreatedAt.UnixMicro(), 36) + "." + last.ID
	}
	return edge.Listing(sources, next, nil)
}

type deleteSource struct {
	Source string `path:"source" maxLength:"64" example:"src_06fz3qk8v0g1m2n4p5r6s7t8"`
	idempotency.Keyed
}

func (s *server) deleteSource(ctx context.Context, in *deleteSource) (*struct{}, error) {
	out, err := idempotency.Write(ctx, s.DB, "delete-source", in.Keyed, in, func(tx pgx.Tx, p account.Principal) (*struct{}, error) {
		return &struct{}{}, source.Delete(ctx, tx, p.Organization, in.Source)
	})
	return out, s.cleaned(ctx, err)
}

func (s *server) searchPassages(ctx context.Context, in *struct {
	ByCourse
	Query string `query:"q" required:"true" minLength:"1" maxLength:"1000" example:"barn owl"`
	Limit int    `query:"limit" minimum:"1" maximum:"100" default:"10" doc:"how many at most"`
},
) (*edge.Listed[source.Hit], error) {
	p, err := account.Who(ctx)
	if err != nil {
		return nil, err
	}
	if err := course.Exists(ctx, s.DB, p.Organization, in.Course); err != nil {
		return nil, err
	}
	hits, err := source.Search(ctx, s.DB, p.Organization, in.Course, in.Query, in.Limit)
	return edge.Listing(hits, "", err)
}
