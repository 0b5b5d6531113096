package source

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"lectern.dev/lectern/internal/source/extract"
)

// BenchmarkReading reads real books that Debian ships (packages debian-reference
// and debian-handbook), child process included.
func BenchmarkReading(b *testing.B) {
	for _, path := range []string{
		"/usr/share/debian-reference/debian-reference.en.pdf",
		"/usr/share/debian-reference/debian-reference.ja.pdf",
		"/usr/share/doc/debian-handbook/html/en-US/sect.quotas.html",
		"sample/home-networks.md",
	} {
		b.Run(filepath.Base(path), func(b *testing.B) {
			if _, err := os.Stat(path); err != nil {
				b.Skip(err)
			}
			format, _ := extract.FormatOf("", path)
			pages, passages := 0, 0
			limits := extract.Limits{Wall: time.Minute, Silence: time.Minute, Memory: extract.DefaultLimits.Memory}
			for b.Loop() {
				doc, err := extract.Extract(b.Context(), path, format, limits, nil)
				if err != nil {
					b.Fatal(err)
				}
				pages, passages = doc.Pages, len(Cut(doc))
			}
			b.ReportMetric(float64(passages), "passages")
			if pages > 0 {
				b.ReportMetric(float64(pages*b.N)/b.Elapsed().Seconds(), "pages/s")
			}
		})
	}
}
