// Package emulator is as much of Secret Manager as reading needs, for tests.
package emulator

import (
	"context"
	"hash/crc32"
	"net"
	"sync"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// Vault holds secrets.
type Vault struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer
	options []option.ClientOption

	mu       sync.Mutex
	versions map[string]answer
	failures int
	silent   bool
}

type answer struct {
	data    string
	code    codes.Code
	damaged bool
}

// New serves a vault until the test ends.
func New(t testing.TB) *Vault {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &Vault{versions: map[string]answer{}, options: []option.ClientOption{
		option.WithEndpoint(listener.Addr().String()), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}}
	server := grpc.NewServer()
	secretmanagerpb.RegisterSecretManagerServiceServer(server, v)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return v
}

// Options make a client reach the vault.
func (v *Vault) Options() []option.ClientOption { return v.options }

// Set gives a version, "projects/P/secrets/S/versions/V", its data.
func (v *Vault) Set(version, data string) { v.set(version, answer{data: data}) }

// Refuse makes a version answer with a code of gRPC.
func (v *Vault) Refuse(version string, code codes.Code) { v.set(version, answer{code: code}) }

// Damage makes a version arrive with a checksum that is not its data's.
func (v *Vault) Damage(version, data string) { v.set(version, answer{data: data, damaged: true}) }

// Fail makes the next n calls fail as a server does that is restarted.
func (v *Vault) Fail(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failures = n
}

// FallSilent makes calls wait until their client gives up.
func (v *Vault) FallSilent() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.silent = true
}

func (v *Vault) isSilent() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.silent
}

func (v *Vault) set(version string, a answer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.versions[version] = a
}

// AccessSecretVersion implements the service.
func (v *Vault) AccessSecretVersion(ctx context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	if v.isSilent() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failures > 0 {
		v.failures--
		return nil, status.Error(codes.Unavailable, "The service is currently unavailable.")
	}
	a, ok := v.versions[r.Name]
	switch {
	case !ok:
		return nil, status.Error(codes.NotFound, "Secret Version was not found.")
	case a.code != codes.OK:
		return nil, status.Error(a.code, a.code.String())
	}
	sum := int64(crc32.Checksum([]byte(a.data), crc32.MakeTable(crc32.Castagnoli)))
	if a.damaged {
		sum++
	}
	payload := &secretmanagerpb.SecretPayload{Data: []byte(a.data), DataCrc32C: &sum}
	return &secretmanagerpb.AccessSecretVersionResponse{Name: r.Name, Payload: payload}, nil
}
