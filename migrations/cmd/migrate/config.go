package main

import "lectern.dev/lectern/internal/gcp/cloudsql"

// Config is what migrate reads from its environment.
type Config struct {
	Database    cloudsql.Settings // of a user that owns the database and has CREATEROLE
	TenantUsers []string          `env:"TENANT_USERS"` // database users of functions that people call: they see one organisation at a time
	SystemUsers []string          `env:"SYSTEM_USERS"` // of auth and of functions that queues, events and the scheduler call: they see all
}

// Founding is what -bootstrap reads. Each but the addresses may be
// sm://projects/P/secrets/S[/versions/V], which is read from Secret Manager.
type Founding struct {
	RootEmail         string `env:"ROOT_EMAIL, required"`    // of the operator's owner, who is root
	RootPassword      string `env:"ROOT_PASSWORD, required"` // another one is set and signs root out; the same leaves alone what root has chosen
	DreambridgeEmail  string `env:"DREAMBRIDGE_EMAIL"`       // of the client's owner, who gets a password by asking for a new one; empty: none
	DreambridgeSecret string `env:"DREAMBRIDGE_SECRET"`      // of the credential dreambridge; another one makes dreambridge-2 and revokes it; empty: none
}

type settings struct {
	Config
	Founding
}
