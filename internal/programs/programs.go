// Package programs provides the compiled programs that packages carry: vpkg-hook
// and vpkg-agent.
//
// A release of vpkg has them embedded (build tag embedprograms; see
// .goreleaser.yaml). Under go run and go install they are built from the source
// of vpkg's own module with the Go toolchain, once for each architecture, and
// kept in a cache folder under a digest of that source.
package programs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/vpkg/vpkg/packaging"
)

// ModulePath is the module that the programs belong to.
const ModulePath = "github.com/vpkg/vpkg"

// BuildArgs are the arguments of go with which the programs are compiled: to the
// same bytes on every host, and small, for they are in every package. Without
// inlining (-l) they are a tenth smaller.
func BuildArgs() []string {
	return []string{"build", "-trimpath", "-buildvcs=false", "-gcflags=all=-l", "-ldflags=-s -w -buildid="}
}

// A Program is one compiled program for one system.
type Program struct {
	Name   string // "vpkg-hook"
	GOOS   string
	GOARCH string
	Path   string // of the executable, in the cache folder
	Size   int64  // bytes
	SHA256 packaging.Digest
}

// Open opens the executable. A Program is a packaging.Body.
func (p Program) Open() (io.ReadCloser, error) { return os.Open(p.Path) }

// A Source gives programs.
type Source struct {
	Dir string // cache folder; made when it is needed
}

// Get returns the named program for goos and goarch, making it first where the
// cache does not have it.
func (s Source) Get(ctx context.Context, name, goos, goarch string) (Program, error) {
	p := Program{Name: name, GOOS: goos, GOARCH: goarch}
	var err error
	if hasEmbedded {
		p.Path, err = s.unpack(name, goos, goarch)
	} else {
		p.Path, err = s.build(ctx, name, goos, goarch)
	}
	if err != nil {
		return Program{}, err
	}
	f, err := os.Open(p.Path)
	if err != nil {
		return Program{}, err
	}
	defer f.Close()
	h := sha256.New()
	if p.Size, err = io.Copy(h, f); err != nil {
		return Program{}, fmt.Errorf("reading %s: %w", p.Path, err)
	}
	p.SHA256 = packaging.Digest(h.Sum(nil))
	return p, nil
}

// embeddedName is the file of an embedded program in the folder bin.
func embeddedName(name, goos, goarch string) string {
	return fmt.Sprintf("bin/%s_%s_%s.zst", name, goos, goarch)
}

// unpack writes an embedded program into the cache folder.
func (s Source) unpack(name, goos, goarch string) (string, error) {
	b, err := fs.ReadFile(embedded, embeddedName(name, goos, goarch))
	if err != nil {
		return "", fmt.Errorf("this vpkg has no %s for %s/%s in it", name, goos, goarch)
	}
	key := fmt.Sprintf("%x", sha256.Sum256(b))
	return s.put(key, name, goos, goarch, func(path string) error {
		d, err := zstd.NewReader(bytes.NewReader(b))
		if err != nil {
			return err
		}
		defer d.Close()
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755) //nolint:gosec // a program, to be run
		if err != nil {
			return err
		}
		_, err = io.Copy(f, d)
		return errors.Join(err, f.Close())
	})
}

// build compiles a program from the source of vpkg's own module.
func (s Source) build(ctx context.Context, name, goos, goarch string) (string, error) {
	gotool, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("%s is not embedded in this vpkg and has to be built, but there is no go command on PATH: use a release of vpkg, or install Go", name)
	}
	src, err := moduleDir(ctx, gotool)
	if err != nil {
		return "", err
	}
	key, err := sourceKey(src)
	if err != nil {
		return "", err
	}
	return s.put(key, name, goos, goarch, func(path string) error {
		return Compile(ctx, gotool, src, name, goos, goarch, path)
	})
}

// put returns the path of a program in the cache, calling write to make it where
// it is not there yet. The file appears under its name only when it is whole.
func (s Source) put(key, name, goos, goarch string, write func(path string) error) (string, error) {
	dir := filepath.Join(s.Dir, key[:32], goos+"_"+goarch)
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(dir, ".tmp-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	part := filepath.Join(tmp, name)
	if err := write(part); err != nil {
		return "", err
	}
	if err := os.Rename(part, path); err != nil {
		return "", err
	}
	return path, nil
}

// Compile builds ./cmd/NAME of the module in src into the file out. The bytes
// depend on the source and the Go release alone, not on the host.
func Compile(ctx context.Context, gotool, src, name, goos, goarch, out string) error {
	cmd := exec.CommandContext(ctx, gotool, append(BuildArgs(), "-o", out, "./cmd/"+name)...)
	cmd.Dir = src
	for _, kv := range os.Environ() {
		switch k, _, _ := strings.Cut(kv, "="); k {
		case "GOOS", "GOARCH", "GOFLAGS", "GOAMD64", "GOARM64", "GOPPC64", "GOEXPERIMENT", "GOWORK", "CGO_ENABLED":
		default:
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "GOOS="+goos, "GOARCH="+goarch, "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s for %s/%s: %w\n%s", name, goos, goarch, err, bytes.TrimSpace(b))
	}
	return nil
}

// moduleDir finds the source of the module that this program was built from: the
// work tree under go run, the module cache after go install MODULE@VERSION.
func moduleDir(ctx context.Context, gotool string) (string, error) {
	if _, file, _, ok := runtime.Caller(0); ok {
		dir := filepath.Join(filepath.Dir(file), "..", "..")
		if isModule(dir) {
			return dir, nil
		}
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != ModulePath || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "", errors.New("the source of this vpkg, needed to build vpkg-hook, is not where it was built: use a release of vpkg, or go install " + ModulePath + "/cmd/vpkg@latest")
	}
	out, err := exec.CommandContext(ctx, gotool, "mod", "download", "-json", ModulePath+"@"+info.Main.Version).Output()
	if err != nil {
		return "", fmt.Errorf("fetching the source of vpkg %s, needed to build vpkg-hook: %w", info.Main.Version, err)
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(out, &m); err != nil {
		return "", fmt.Errorf("reading the answer of go mod download: %w", err)
	}
	return m.Dir, nil
}

func isModule(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && bytes.HasPrefix(b, []byte("module "+ModulePath+"\n"))
}

// sourceFolders are the folders whose files can change the programs.
var sourceFolders = []string{"hooks", "platform", "agent", "cmd/vpkg-hook", "cmd/vpkg-agent"}

// sourceKey is a digest of everything that the programs are built from: the Go
// release, go.mod, go.sum and the files of sourceFolders.
func sourceKey(src string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version())
	files := []string{"go.mod", "go.sum"}
	for _, dir := range sourceFolders {
		err := fs.WalkDir(os.DirFS(src), dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(p, "_test.go") {
				return err
			}
			files = append(files, p)
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	slices.Sort(files)
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(src, f))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d %x\n", f, len(b), sha256.Sum256(b))
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}
