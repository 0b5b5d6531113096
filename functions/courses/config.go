package courses

import (
	"lectern.dev/lectern/internal/access"
	"lectern.dev/lectern/internal/budget"
	"lectern.dev/lectern/internal/edge"
	"lectern.dev/lectern/internal/gcp/cloudsql"
	"lectern.dev/lectern/internal/gcp/firestore"
	"lectern.dev/lectern/internal/gcp/tasks"
	"lectern.dev/lectern/internal/gcp/telemetry"
	"lectern.dev/lectern/internal/job"
)

// Config is what courses reads from its environment. STORAGE_EMULATOR_HOST and
// FIRESTORE_EMULATOR_HOST work as everywhere.
type Config struct {
	Database       cloudsql.Settings
	Queue          tasks.Config
	Board          firestore.Config
	Bucket         string `env:"BUCKET, required"`       // name of the one bucket
	GenerateURL    string `env:"GENERATE_URL, required"` // where functions/generate gets its tasks
	IngestURL      string `env:"INGEST_URL, required"`   // where functions/ingest gets its tasks
	RenderURL      string `env:"RENDER_URL, required"`   // where functions/render gets its tasks
	Access         access.Settings
	TrustedOrigins []string `env:"TRUSTED_ORIGINS"` // "https://host,…": other origins whose pages may call
	Front          edge.Front
	Budget         budget.Settings
	Limits         Limits
	Telemetry      telemetry.Settings
}

// Limits say how many jobs may be open at once; 0: any number.
type Limits struct {
	GenerationsPerUser         int `env:"GENERATIONS_PER_USER, default=3"`          // courses that one person has written at once; 0: any number
	GenerationsPerOrganization int `env:"GENERATIONS_PER_ORGANIZATION, default=10"` // courses that an organisation has written at once; 0: any number
	RendersPerUser             int `env:"RENDERS_PER_USER, default=10"`             // lessons or courses that one person has filmed at once; 0: any number
	RendersPerOrganization     int `env:"RENDERS_PER_ORGANIZATION, default=30"`     // lessons or courses that an organisation has filmed at once; 0: any number
}

// Jobs gives the limits in the form of a runner.
func (l Limits) Jobs() map[job.Kind]job.Limits {
	return map[job.Kind]job.Limits{
		job.Generate: {PerUser: l.GenerationsPerUser, PerOrganization: l.GenerationsPerOrganization},
		job.Render:   {PerUser: l.RendersPerUser, PerOrganization: l.RendersPerOrganization},
	}
}
