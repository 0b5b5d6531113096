// Package web is what people see: server-rendered pages, their static files, and
// the one origin behind which the API of all functions stands. It has no database
// of its own; what it shows it asks the other functions for, as the person who asks.
package web

import (
	"context"
	"errors"
	"net/http"

	"lectern.dev/lectern/internal/edge"
)

// Build makes the production handler; every wrong setting is reported at once.
func Build(ctx context.Context) (http.Handler, error) {
	var c Config
	if err := edge.Load(ctx, &c); err != nil {
		return nil, err
	}
	courses, err1 := origin("COURSES_URL", c.CoursesURL)
	auth, err2 := origin("AUTH_URL", c.AuthURL)
	chat, err3 := origin("CHAT_URL", c.ChatURL)
	media, err4 := origin("MEDIA_ORIGIN", c.MediaOrigin)
	tracing, err5 := c.Telemetry.Open(ctx, "web")
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	return edge.Traced(edge.Tracing(tracing), New(Deps{Courses: courses, Auth: auth, Chat: chat, Media: media, Front: c.Front})), nil
}
