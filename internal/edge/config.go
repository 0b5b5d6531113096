package edge

import (
	"context"
	"errors"
	"reflect"

	"github.com/sethvargo/go-envconfig"
)

// Load fills config, a pointer to a struct with env tags, from the environment.
// Everything that is missing or malformed is reported at once, a line each;
// envconfig alone stops at the first. Values are never part of the text of a
// missing setting, so secrets stay out of the log.
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
			wrong = append(wrong, err)
			continue
		}
		target.Field(i).Set(one.Elem().Field(0))
	}
	return errors.Join(wrong...)
}
