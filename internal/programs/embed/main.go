// Command embed compiles the programs that packages carry and puts them,
// compressed, where a build of vpkg with the tag embedprograms embeds them:
//
//	go run ./internal/programs/embed
//	go build -tags embedprograms ./cmd/vpkg
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/vpkg/vpkg/internal/programs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "embed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	const bin = "internal/programs/bin"
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "vpkg-embed-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, name := range []string{"vpkg-hook", "vpkg-agent"} {
		for _, s := range []struct{ goos, goarch string }{
			{"linux", "amd64"}, {"linux", "arm64"}, {"linux", "ppc64le"}, {"linux", "s390x"}, {"windows", "amd64"}, {"windows", "arm64"},
		} {
			out := filepath.Join(tmp, name)
			if err := programs.Compile(ctx, "go", ".", name, s.goos, s.goarch, out); err != nil {
				return err
			}
			b, err := os.ReadFile(out)
			if err != nil {
				return err
			}
			file := filepath.Join(bin, fmt.Sprintf("%s_%s_%s.zst", name, s.goos, s.goarch))
			if err := os.WriteFile(file, enc.EncodeAll(b, nil), 0o644); err != nil { //nolint:gosec // the folder is the caller's to choose
				return err
			}
		}
	}
	return nil
}
