package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"
)

// Load fills config, a pointer to a struct with env tags, from the environment.
// Everything that is missing or malformed is reported at once, a line each, by the
// setting's name; envconfig alone stops at the first, and repeats values. They are
// never part of the text, so secrets stay out of the log.
func Load(ctx context.Context, config any) error {
	return load(ctx, config, envconfig.OsLookuper())
}

func load(ctx context.Context, config any, from envconfig.Lookuper) error {
	target := reflect.ValueOf(config).Elem()
	var wrong []error
	for i := range target.NumField() {
		if field := target.Type().Field(i); field.Tag.Get("env") == "" {
			if field.Type.Kind() == reflect.Struct {
				wrong = append(wrong, load(ctx, target.Field(i).Addr().Interface(), from))
			}
			continue // what else has no tag is set by the program
		}
		one := reflect.New(reflect.StructOf([]reflect.StructField{target.Type().Field(i)}))
		err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: one.Interface(), Lookuper: from})
		if err != nil {
			wrong = append(wrong, wrongSetting(target.Type().Field(i), err))
			continue
		}
		target.Field(i).Set(one.Elem().Field(0))
	}
	return errors.Join(wrong...)
}

func wrongSetting(field reflect.StructField, err error) error {
	name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
	if errors.Is(err, envconfig.ErrMissingRequired) {
		return fmt.Errorf("%s is missing", name)
	}
	form := "in its form"
	switch kind := field.Type.Kind(); {
	case field.Type == reflect.TypeFor[time.Duration]():
		form = "a time such as 90s or 720h"
	case field.Type == reflect.TypeFor[slog.Level]():
		form = "DEBUG, INFO, WARN or ERROR"
	case kind == reflect.Bool:
		form = "true or false"
	case kind == reflect.Int, kind == reflect.Int64:
		form = "a whole number"
	}
	return fmt.Errorf("%s is not %s", name, form)
}
