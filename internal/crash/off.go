//go:build !crashpoints

// Package crash marks the lines at which tests kill the process, to show that
// nothing is lost there. In builds without the tag crashpoints it does nothing.
package crash

// Point is a place to die at.
func Point(string) {}
