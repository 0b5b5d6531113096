// Package secretmanager reads settings that are kept in Secret Manager: the value
// of such a setting names the secret instead of being it.
package secretmanager

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
	"sync"
	"time"

	api "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// scheme begins the value of a setting that names a secret.
const scheme = "sm://"

// How long all secrets together may take, one try, and the pause before another.
var (
	readTime = 20 * time.Second
	tryTime  = 6 * time.Second
	pause    = 500 * time.Millisecond
)

var name = regexp.MustCompile(`^projects/[^/]+/secrets/[^/]+(/versions/[^/]+)?$`)

// Resolve replaces each setting of the form "sm://projects/P/secrets/S", or
// "…/versions/V", by what that secret holds; without a version by its latest. Other
// settings stay as they are, and when there are no others nothing is dialled. One
// newline at the end of a secret is not part of it: files end with one.
//
// All that is wrong is told at once, by names; no error holds a secret, and after
// one the settings are as they were.
func Resolve(ctx context.Context, settings []*string, options ...option.ClientOption) error {
	var named []*string
	for _, setting := range settings {
		if strings.HasPrefix(*setting, scheme) {
			named = append(named, setting)
		}
	}
	if len(named) == 0 {
		return nil
	}
	client, err := api.NewClient(ctx, options...)
	if err != nil {
		return fmt.Errorf("make the client of Secret Manager: %w", err)
	}
	defer client.Close()
	client.CallOptions.AccessSecretVersion = nil // its own retries do not tell what was wrong; see access
	values, wrong := make([]string, len(named)), make([]error, len(named))
	var all sync.WaitGroup
	for i, setting := range named {
		all.Go(func() { values[i], wrong[i] = read(ctx, client, strings.TrimPrefix(*setting, scheme)) })
	}
	all.Wait()
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	for i, setting := range named {
		*setting = values[i]
	}
	return nil
}

func read(ctx context.Context, client *api.Client, secret string) (string, error) {
	if !name.MatchString(secret) {
		return "", fmt.Errorf("%s%s is not of the form %sprojects/P/secrets/S or …/versions/V", scheme, secret, scheme)
	}
	if !strings.Contains(secret, "/versions/") {
		secret += "/versions/latest"
	}
	answer, err := access(ctx, client, secret)
	switch status.Code(err) {
	case codes.OK:
	case codes.NotFound:
		return "", fmt.Errorf("there is no secret %s, or it has no such version", secret)
	case codes.PermissionDenied:
		return "", fmt.Errorf("the secret %s may not be read: the account needs roles/secretmanager.secretAccessor", secret)
	case codes.FailedPrecondition:
		return "", fmt.Errorf("the secret %s is disabled or destroyed", secret)
	default:
		if passes(err) {
			return "", fmt.Errorf("the secret %s was not to be had within %s; nothing has been changed, start again later. The last try: %w", secret, readTime, err)
		}
		return "", fmt.Errorf("read the secret %s: %w", secret, err)
	}
	data := answer.GetPayload().GetData()
	if sum := answer.GetPayload().DataCrc32C; sum != nil && *sum != int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))) {
		return "", fmt.Errorf("the secret %s was damaged on its way: try again", secret)
	}
	value := strings.TrimSuffix(string(data), "\n")
	if value == "" {
		return "", fmt.Errorf("the secret %s is empty", secret)
	}
	return value, nil
}

// access tries again what may pass: the service, or the metadata server that its token
// comes from, is slow or down.
func access(ctx context.Context, client *api.Client, secret string) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	for {
		try, end := context.WithTimeout(ctx, tryTime)
		answer, err := client.AccessSecretVersion(try, &secretmanagerpb.AccessSecretVersionRequest{Name: secret})
		end()
		if !passes(err) {
			return answer, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// passes tells errors after which another try may succeed. Who has no token yet is told
// to be nobody.
func passes(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Unauthenticated:
		return true
	}
	return errors.Is(err, context.DeadlineExceeded)
}
