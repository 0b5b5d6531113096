// Package archtest holds the plan of the house: which package stands on which
// floor and what it may import. It parses the sources itself, since a test that
// asks `go list` passes from the cache when a violation is planted.
package archtest

// room says what a package may import of this module. Other modules it may use
// freely unless bare is set, except those that vendors own.
type room struct {
	bare bool     // the standard library only, beside may
	may  []string // below the module's path; a trailing "/..." means all below
}

// house places every package on purpose: one that is missing here fails the test.
// Tests are not bound by it, except by vendors and between functions, and a
// package of tests only needs no place.
var house = map[string]room{
	// Floor 0.
	"internal/fault": {bare: true},
	"internal/id":    {bare: true},
	"internal/crash": {bare: true},
	"internal/tally": {bare: true},
	"internal/trail": {may: []string{"internal/fault"}},

	// Floor 1: ports, with their fakes and suites; the ground for SQL; the edge.
	"internal/llm":    {bare: true, may: []string{"internal/fault"}},
	"internal/speech": {bare: true, may: []string{"internal/fault"}},
	"internal/encode": {bare: true, may: []string{"internal/fault"}},
	"internal/blob":   {bare: true, may: []string{"internal/fault"}},
	"internal/queue":  {bare: true, may: []string{"internal/fault"}},
	"internal/mail":   {bare: true, may: []string{"internal/fault"}},
	"internal/live":   {bare: true, may: []string{"internal/fault"}},

	// Two models in one; the breaker is a library's.
	"internal/llm/backup": {may: []string{"internal/fault", "internal/llm"}},

	// What models and voices do, as traces show it.
	"internal/llm/traced":    {may: []string{"internal/trail", "internal/llm"}},
	"internal/speech/traced": {may: []string{"internal/trail", "internal/speech"}},

	"internal/llm/llmtest":       {may: []string{"internal/fault", "internal/llm"}},
	"internal/speech/speechtest": {may: []string{"internal/fault", "internal/speech"}},
	"internal/encode/encodetest": {may: []string{"internal/fault", "internal/encode"}},
	"internal/blob/blobtest":     {bare: true, may: []string{"internal/fault", "internal/blob"}},
	"internal/queue/queuetest":   {bare: true, may: []string{"internal/fault", "internal/queue"}},
	"internal/live/livetest":     {bare: true, may: []string{"internal/fault", "internal/live"}},

	"internal/postgres":         {may: []string{"internal/fault", "internal/tally", "internal/trail"}},
	"internal/postgres/cluster": {may: []string{"internal/fault"}},
	"internal/postgres/pgtest":  {may: []string{"internal/fault", "internal/postgres/...", "migrations"}},
	"internal/edge":             {may: []string{"internal/fault", "internal/tally", "internal/trail"}},
	"internal/edge/edgetest":    {may: []string{"internal/fault", "internal/edge"}},
	"internal/logtest":          {may: []string{"internal/edge"}},
	"internal/edge/cloudevent":  {may: []string{"internal/fault", "internal/trail", "internal/edge"}},
	"internal/edge/oidc":        {may: []string{"internal/fault"}},
	"migrations":                {may: []string{"internal/fault"}},
	"migrations/cmd/migrate":    {may: []string{"internal/fault", "internal/edge", "internal/postgres", "internal/account", "migrations", "internal/gcp/cloudsql", "internal/gcp/secretmanager"}},

	// The gate: between the edge and who may pass.
	"internal/access":            {may: []string{"internal/fault", "internal/postgres", "internal/account", "internal/edge"}},
	"internal/access/accesstest": {may: []string{"internal/fault", "internal/postgres", "internal/account", "internal/edge", "internal/access"}},

	// What functions that write share.
	"internal/idempotency": {may: []string{"internal/fault", "internal/postgres", "internal/account"}},

	// Floors 2 to 5: nouns. What two of them share lies below both.
	"internal/account":   {may: ground},
	"internal/budget":    {may: with(ground, "internal/account")},
	"internal/job":       {may: with(ground, "internal/account")},
	"internal/source":    {may: with(ground, "internal/account", "internal/job")},
	"internal/course":    {may: with(ground, "internal/account", "internal/job", "internal/source")},
	"internal/authoring": {may: with(ground, "internal/account", "internal/budget", "internal/job", "internal/source", "internal/course")},
	"internal/film":      {may: with(ground, "internal/account", "internal/budget", "internal/job", "internal/source", "internal/course")},

	"internal/conversation":       {may: with(ground, "internal/account", "internal/budget", "internal/job", "internal/source", "internal/course", "internal/conversation/relay")},
	"internal/conversation/relay": {may: ground},

	// The wing of vendors: one port each, never a noun.
	"internal/offline":           {may: []string{"internal/fault", "internal/llm"}},
	"internal/openai":            {may: []string{"internal/fault", "internal/llm", "internal/speech"}},
	"internal/espeak":            {may: []string{"internal/fault", "internal/speech"}},
	"internal/smtp":              {may: []string{"internal/fault", "internal/mail"}},
	"internal/ffmpeg":            {may: []string{"internal/fault", "internal/encode"}},
	"internal/gcp/cloudsql":      {may: []string{"internal/fault", "internal/postgres"}},
	"internal/gcp/gcs":           {may: []string{"internal/fault", "internal/trail", "internal/blob"}},
	"internal/gcp/tasks":         {may: []string{"internal/fault", "internal/trail", "internal/queue"}},
	"internal/gcp/firestore":     {may: []string{"internal/fault", "internal/live"}},
	"internal/gcp/secretmanager": {},
	"internal/gcp/telemetry":     {},

	"internal/gcp/telemetry/metrics": {may: []string{"internal/gcp/telemetry"}},

	"internal/gcp/dispatch": {bare: true},

	// What functions that are called by the wing stand on, together.
	"internal/gcp/worker": {may: []string{"internal/edge", "internal/edge/oidc", "internal/postgres", "internal/queue", "internal/live", "internal/gcp/cloudsql", "internal/gcp/tasks", "internal/gcp/firestore"}},

	"internal/gcp/issuer":             {bare: true},
	"internal/gcp/gcs/emulator":       {may: []string{"internal/gcp/gcs"}},
	"internal/gcp/tasks/emulator":     {may: []string{"internal/gcp/tasks", "internal/gcp/issuer"}},
	"internal/gcp/firestore/emulator": {bare: true},

	"internal/gcp/secretmanager/emulator": {},

	// Not linked by any program: what images are named by, and what the scripts of a
	// release are tried in.
	"internal/release": {bare: true},
}

// ground is what every noun stands on: floors 0 and 1 without the edge.
var ground = []string{
	"internal/fault", "internal/id", "internal/crash", "internal/tally", "internal/trail", "internal/postgres",
	"internal/llm", "internal/speech", "internal/encode", "internal/blob", "internal/queue", "internal/live", "internal/mail",
}

func with(below []string, more ...string) []string {
	return append(append([]string{}, below...), more...)
}

// vendors own the modules whose import paths begin so; tests are bound too.
var vendors = map[string]string{
	"cloud.google.com/":                 "internal/gcp",
	"google.golang.org/grpc":            "internal/gcp",
	"github.com/fsouza/fake-gcs-server": "internal/gcp",
	"github.com/openai/openai-go":       "internal/openai",
	"github.com/wneessen/go-mail":       "internal/smtp",
}

// wing are the packages that bring a vendor's weight into a program.
var wing = []string{
	"internal/gcp/cloudsql", "internal/gcp/gcs", "internal/gcp/tasks", "internal/gcp/firestore", "internal/gcp/secretmanager", "internal/gcp/telemetry", "internal/gcp/telemetry/metrics",
	"internal/openai", "internal/offline", "internal/espeak", "internal/ffmpeg", "internal/smtp",
}

// deployables says which of the wing each program links: what it does not need
// would cost every cold start.
var deployables = map[string][]string{
	"auth":     {"internal/gcp/cloudsql", "internal/smtp", "internal/gcp/telemetry"},
	"chat":     {"internal/gcp/cloudsql", "internal/openai", "internal/offline", "internal/gcp/telemetry", "internal/gcp/telemetry/metrics"},
	"courses":  {"internal/gcp/cloudsql", "internal/gcp/gcs", "internal/gcp/tasks", "internal/gcp/firestore", "internal/gcp/telemetry"},
	"web":      {"internal/gcp/telemetry"},
	"generate": {"internal/gcp/cloudsql", "internal/gcp/tasks", "internal/gcp/firestore", "internal/openai", "internal/offline", "internal/gcp/telemetry"},
	"ingest":   {"internal/gcp/cloudsql", "internal/gcp/gcs", "internal/gcp/tasks", "internal/gcp/firestore", "internal/gcp/telemetry"},
	"render":   {"internal/gcp/cloudsql", "internal/gcp/gcs", "internal/gcp/tasks", "internal/gcp/firestore", "internal/openai", "internal/espeak", "internal/ffmpeg", "internal/gcp/telemetry"},
	"finalize": {"internal/gcp/cloudsql", "internal/gcp/gcs", "internal/gcp/tasks", "internal/gcp/firestore", "internal/gcp/telemetry"},
	"sweep":    {"internal/gcp/cloudsql", "internal/gcp/gcs", "internal/gcp/tasks", "internal/gcp/firestore", "internal/smtp", "internal/gcp/telemetry"},
}
