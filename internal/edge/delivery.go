package edge

import (
	"log/slog"
	"net/http"
)

// noteDelivery has the log tell which delivery a request is: all that follow from one
// click share its id. Its sender has been admitted, or could write here what it likes.
func noteDelivery(r *http.Request) {
	q := requestOf(r.Context())
	for _, part := range [...]struct{ name, header string }{
		{"task", "X-CloudTasks-TaskName"},
		{"task_retry", "X-CloudTasks-TaskRetryCount"},
		{"event", "Ce-Id"},
	} {
		if value := r.Header.Get(part.header); value != "" {
			q.delivery = append(q.delivery, slog.String(part.name, shorten(value, 512)))
		}
	}
}
