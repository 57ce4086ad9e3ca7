package deb

import (
	"context"
	"io"
	"testing"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

func TestFormat(t *testing.T) { packagingtest.TestFormat(t, Format{}, "amd64") }

// compressed is the format with another codec than its default.
type compressed struct {
	Format
	codec string
}

func (f compressed) Write(ctx context.Context, w io.Writer, p *packaging.Package) (packaging.Written, error) {
	q := *p
	q.Compression.Codec = f.codec
	return f.Format.Write(ctx, w, &q)
}

func TestCodecs(t *testing.T) {
	for _, codec := range []string{"zstd", "none"} {
		t.Run(codec, func(t *testing.T) { packagingtest.TestFormat(t, compressed{codec: codec}, "all") })
	}
}
