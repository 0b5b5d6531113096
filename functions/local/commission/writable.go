package commission

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Writable tells why a folder could not be made or replaced, before the work that
// would be lost with it. It tries, for modes and owners do not tell of file systems
// that are read-only or full.
func Writable(folder string) error {
	at, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	for { // the folder is renamed into its parent, or into the first one that is there
		at = filepath.Dir(at)
		_, err := os.Stat(at)
		if err == nil || !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			break
		}
	}
	probe, err := os.MkdirTemp(at, ".lectern-out-")
	if err != nil {
		return fmt.Errorf("%s cannot be written to: %s: %w", folder, at, unwrapPath(err))
	}
	return os.Remove(probe)
}
