//go:build linux

// Command bench builds the same payload with vpkg and with the tools that a user
// would take instead, in one run on one machine, and prints time, memory and size
// as ratios:
//
//	go run ./bench -o bench/results.md
//
// It also verifies an installed package beside rpm and sha256sum, inspects large ones,
// and measures a library server beside nginx.
//
// It needs rpmbuild, dpkg-deb, wixl and msiextract, and nginx, wrk and curl for the library; nfpm is built from its module. Figures of
// different runs or machines say nothing about each other, the ratios do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	out := flag.String("o", "", "write the tables to this `file`, not to standard output")
	sizes := flag.String("sizes", "135,1000", "payload sizes in `MB`, separated by commas")
	runs := flag.Int("runs", 3, "how often each command runs; the fastest counts. Payloads of 500 MB and more once")
	codecs := flag.String("codecs", "zstd,gzip", "compressions to compare")
	msi := flag.Int("msi", 200, "`MB` of payload of a Windows package; 0 leaves it out")
	verify := flag.Int("verify", 10_000, "`files` of an installed package to verify, as root; 0 leaves it out")
	inspect := flag.Int("inspect", 1000, "`MB` of payload of packages to inspect; 0 leaves it out")
	library := flag.Int("library", 250, "`MB` of a package that a library server offers; 0 leaves it out")
	flag.Parse()
	err := run(ctx, *out, *sizes, *codecs, *runs, *msi, *verify, *inspect, *library)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, sizes, codecs string, runs, msi, verify, inspect, library int) error {
	dir, err := os.MkdirTemp("", "vpkg-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, codecs: codecs, runs: runs, w: os.Stdout}
	if out != "" {
		f, err := os.Create(out)
		if err != nil {
			return err
		}
		defer f.Close()
		b.w = io.MultiWriter(os.Stdout, f)
	}
	if err := b.tools(ctx); err != nil {
		return err
	}
	fmt.Fprintf(b.w, "# vpkg beside other tools\n\nMade by `go run ./bench -runs %d -sizes %q -codecs %s -msi %d -verify %d -inspect %d -library %d` on %d cores, %s. Seconds of the fastest run, resident MiB\nof the largest process, package MB (10^6 bytes); in brackets the ratio to vpkg. Payloads are executables: Go's own tools,\nand copies of them that differ in one byte of every page. Read the ratios; seconds are of that machine.\n", runs, sizes, codecs, msi, verify, inspect, library, runtime.NumCPU(), runtime.Version())
	if library > 0 {
		if err := b.library(ctx, library); err != nil {
			return err
		}
	}
	if verify > 0 {
		if err := b.verify(ctx, verify); err != nil {
			return err
		}
	}
	if inspect > 0 {
		if err := b.inspect(ctx, inspect); err != nil {
			return err
		}
	}
	if msi > 0 {
		if err := b.msi(ctx, msi); err != nil {
			return err
		}
	}
	for i, s := range strings.FieldsFunc(sizes, func(r rune) bool { return r == ',' }) {
		var mb int
		if _, err := fmt.Sscan(s, &mb); err != nil || mb < 1 {
			return fmt.Errorf("size %q is not a number of MB", s)
		}
		tree := filepath.Join(dir, "payload"+s)
		if err := makePayload(ctx, "linux", tree, int64(mb)*1e6); err != nil {
			return err
		}
		if mb >= 500 {
			b.runs = 1 // long enough to be steady
		}
		if err := b.single(ctx, tree, mb); err != nil {
			return err
		}
		if i == 0 && mb < 500 {
			if err := b.matrix(ctx, tree, mb); err != nil {
				return err
			}
		}
		if err := os.RemoveAll(tree); err != nil {
			return err
		}
	}
	return nil
}

// makePayload fills dir with about size bytes of executables: Go's own tools, and
// copies of them that differ in one byte of every page.
func makePayload(ctx context.Context, goos, dir string, size int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir, "cmd/compile", "cmd/link", "cmd/asm", "cmd/vet", "cmd/cover",
		"cmd/pprof", "cmd/trace", "cmd/objdump", "cmd/addr2line", "cmd/nm", "cmd/go", "cmd/gofmt")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64")
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the payload: %w\n%s", err, b)
	}
	tools, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var have int64
	for copies := 0; have < size; copies++ {
		for _, t := range tools {
			name := filepath.Join(dir, t.Name())
			if copies > 0 {
				if err := copyChanged(name, fmt.Sprintf("%s.%d", name, copies), byte(copies)); err != nil {
					return err
				}
			}
			fi, err := os.Stat(name)
			if err != nil {
				return err
			}
			if have += fi.Size(); have >= size {
				break
			}
		}
	}
	return nil
}

// copyChanged copies a file, changing one byte of every page. It holds little: on
// Linux the resident size that a command is reported with is at least that of the
// process that started it.
func copyChanged(from, to string, change byte) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755) //nolint:gosec // it is a program
	if err != nil {
		return err
	}
	page := make([]byte, 4096)
	for err == nil {
		var n int
		n, err = io.ReadFull(in, page)
		if n > 0 {
			page[0] ^= change
			if _, err := out.Write(page[:n]); err != nil {
				return errors.Join(err, out.Close())
			}
		}
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // io.ReadFull returns them as they are
		err = nil
	}
	return errors.Join(err, out.Close())
}

// A cost is what one command took.
type cost struct {
	seconds float64
	mib     float64 // largest resident set of any one process
	mb      float64 // 10^6 bytes of the package
}

type bench struct {
	dir    string
	codecs string
	runs   int
	w      io.Writer
	vpkg   string
	nfpm   string
	cache  string
}

func (b *bench) tools(ctx context.Context) error {
	for _, t := range []string{"rpmbuild", "dpkg-deb"} {
		if _, err := exec.LookPath(t); err != nil {
			return fmt.Errorf("%s is not installed", t)
		}
	}
	b.vpkg, b.nfpm = filepath.Join(b.dir, "vpkg"), filepath.Join(b.dir, "nfpm")
	b.cache = filepath.Join(b.dir, "cache")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", b.vpkg, "./cmd/vpkg").CombinedOutput(); err != nil {
		return fmt.Errorf("building vpkg: %w\n%s", err, out)
	}
	// The hook is compiled once and kept; that is not what is compared.
	hook := exec.CommandContext(ctx, b.vpkg, "build", "--os", "el8", "--out", filepath.Join(b.dir, "first"))
	hook.Dir, hook.Env = b.dir, append(os.Environ(), "XDG_CACHE_HOME="+b.cache)
	if out, err := hook.CombinedOutput(); err != nil {
		return fmt.Errorf("building the hook: %w\n%s", err, out)
	}
	cmd := exec.CommandContext(ctx, "go", "install", "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2")
	cmd.Env = append(os.Environ(), "GOBIN="+b.dir, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building nfpm: %w\n%s", err, out)
	}
	return nil
}

// measure runs a command b.runs times and returns the fastest, with the size of
// the largest file that it left in out. prepare runs before each.
func (b *bench) measure(ctx context.Context, out string, prepare func() error, args ...string) (cost, error) {
	best := cost{seconds: -1}
	for range b.runs {
		if err := errors.Join(os.RemoveAll(out), os.MkdirAll(out, 0o755)); err != nil {
			return cost{}, err
		}
		if prepare != nil {
			if err := prepare(); err != nil {
				return cost{}, err
			}
		}
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir = b.dir
		cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+b.cache, "SOURCE_DATE_EPOCH=1700000000", "TMPDIR="+b.dir)
		start := time.Now()
		if msg, err := cmd.CombinedOutput(); err != nil {
			return cost{}, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, msg)
		}
		c := cost{seconds: time.Since(start).Seconds()}
		if ru, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			c.mib = float64(ru.Maxrss) / 1024
		}
		if best.seconds < 0 || c.seconds < best.seconds {
			best = c
		}
	}
	size, err := largest(out)
	best.mb = float64(size) / 1e6
	return best, err
}

func largest(dir string) (size int64, err error) {
	err = filepath.Walk(dir, func(_ string, fi os.FileInfo, err error) error {
		if err == nil && fi.Mode().IsRegular() {
			size = max(size, fi.Size())
		}
		return err
	})
	return size, err
}

type row struct {
	name string
	cost cost
}

func (b *bench) table(title string, rows []row) {
	fmt.Fprintf(b.w, "\n## %s\n\n| | seconds | MiB | MB |\n|---|---|---|---|\n", title)
	base := rows[0].cost
	for i, r := range rows {
		if i == 0 {
			fmt.Fprintf(b.w, "| %s | %.2f | %.0f | %.1f |\n", r.name, r.cost.seconds, r.cost.mib, r.cost.mb)
			continue
		}
		fmt.Fprintf(b.w, "| %s | %.2f (%.1f×) | %.0f (%.1f×) | %.1f (%.2f×) |\n", r.name,
			r.cost.seconds, r.cost.seconds/base.seconds, r.cost.mib, r.cost.mib/base.mib, r.cost.mb, r.cost.mb/base.mb)
	}
}
