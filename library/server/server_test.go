package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/library/folder"
	"github.com/vpkg/vpkg/library/server"
	"github.com/vpkg/vpkg/library/sqlite"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/rpm"
)

const product = "illumio-ven"

// readFake reads a package that begins with the line "fake FORMAT NAME VERSION RELEASE ARCH".
func readFake(_ context.Context, r io.ReaderAt, size int64) (*packaging.Package, string, error) {
	b := make([]byte, min(size, 256))
	if _, err := r.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, "", err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(line)
	if len(f) != 6 || f[0] != "fake" {
		return nil, "", errors.New("its digest is wrong")
	}
	return &packaging.Package{Name: f[2], Version: f[3], Release: f[4], Arch: f[5]}, f[1], nil
}

// logText is a log that tests read.
type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A world is a server with its library, and an API key.
type world struct {
	t      testing.TB
	lib    *library.Library
	server *server.Server
	log    *logText
	dir    string
	key    library.APIKey
	secret string
	seen   func(*http.Request, []byte, *http.Response, []byte) // may be nil
}

func newWorld(t testing.TB, change func(*server.Server)) *world {
	t.Helper()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "library.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, dir: dir, log: new(logText)}
	w.lib = &library.Library{
		Store: db, Packages: folder.Packages(filepath.Join(dir, "packages")),
		Secret: bytes.Repeat([]byte{7}, 32), Read: readFake, Compare: rpm.CompareEVR,
	}
	w.server = &server.Server{Library: w.lib, Product: product, Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if change != nil {
		change(w.server)
	}
	if w.key, w.secret, err = w.lib.NewAPIKey(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	return w
}

// add imports a package, padded with zeros to size bytes.
func (w *world) add(name, line string, size int) []byte {
	w.t.Helper()
	b := []byte(line + "\n")
	b = append(b, make([]byte, max(0, size-len(b)))...)
	done, err := w.lib.ImportFrom(w.t.Context(), name, int64(len(b)), bytes.NewReader(b))
	if err != nil || len(done) != 1 || done[0].Err != nil {
		w.t.Fatalf("importing %s: %v, %v", name, done, err)
	}
	return b
}

// addRelease imports one release for three systems.
func (w *world) addRelease(version, build string) {
	w.add(product+"-"+version+"-"+build+".el8.x86_64.rpm", "fake rpm illumio-ven "+version+" "+build+".el8 x86_64", 0)
	w.add(product+"_"+version+"-"+build+".u20_amd64.deb", "fake deb illumio-ven "+version+" "+build+".u20 amd64", 0)
	w.add(product+"-"+version+"-"+build+".x64.msi", "fake msi illumio-ven "+version+" "+build+" x64", 0)
}

func (w *world) profile(change func(*library.Profile)) library.Profile {
	w.t.Helper()
	p := library.NewProfile("servers")
	if change != nil {
		change(&p)
	}
	p, err := w.lib.SaveProfile(w.t.Context(), p)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) code(profile int64) (library.Key, string) {
	w.t.Helper()
	k, code, err := w.lib.NewKey(w.t.Context(), profile)
	if err != nil {
		w.t.Fatal(err)
	}
	return k, code
}

// An answer is a whole one.
type answer struct {
	*http.Response
	body []byte
}

// broke is a body that breaks off.
type broke struct{ err error }

func (b broke) Read([]byte) (int, error) { return 0, b.err }

// do sends a request through the handler.
func (w *world) do(r *http.Request) answer {
	w.t.Helper()
	var sent []byte
	if r.Body != nil {
		var err error
		var rest io.Reader = http.NoBody
		if sent, err = io.ReadAll(r.Body); err != nil {
			rest = broke{err}
		}
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(sent), rest))
	}
	rec := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(rec, r)
	a := answer{rec.Result(), rec.Body.Bytes()}
	if w.seen != nil {
		w.seen(r, sent, a.Response, a.body)
	}
	return a
}

// call sends one as a program would, with the API key; body "" means none.
func (w *world) call(method, path, body string) answer {
	w.t.Helper()
	return w.do(w.request(method, path, body))
}

func (w *world) request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	r.SetBasicAuth(w.key.ID, w.secret)
	return r
}

// plain sends one without credentials.
func (w *world) plain(method, path, body string, header ...string) answer {
	w.t.Helper()
	r := w.request(method, path, body)
	r.Header.Del("Authorization")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return w.do(r)
}

// want reports another status.
func (a answer) want(t testing.TB, status int) answer {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("status %d, want %d: %.300s", a.StatusCode, status, a.body)
	}
	return a
}

// wantError reports anything but an error in JSON whose text has all of these words.
func (a answer) wantError(t testing.TB, status int, words ...string) {
	t.Helper()
	a.want(t, status)
	var e struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(a.body, &e); err != nil || e.Error == "" || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%q (%s) is no error in JSON", a.body, a.Header.Get("Content-Type"))
	}
	for _, word := range words {
		if !strings.Contains(e.Error, word) {
			t.Errorf("error %q does not say %q", e.Error, word)
		}
	}
}

func decode[T any](t testing.TB, a answer) (v T) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(a.body))
	if err := d.Decode(&v); err != nil {
		t.Errorf("%.300q: %v", a.body, err)
	}
	return v
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestDownload(t *testing.T) {
	w := newWorld(t, nil)
	b := w.add("ven.el8.rpm", "fake rpm illumio-ven 25.2.20 10.el8 x86_64", 1<<20)
	for i := range b[100:] { // another byte at every place
		b[100+i] = byte(i * 7)
	}
	// The package is replaced by one with these bytes.
	if err := w.lib.Remove(t.Context(), product, "25.2.20-10"); err != nil {
		t.Fatal(err)
	}
	if done, err := w.lib.ImportFrom(t.Context(), "ven.el8.rpm", int64(len(b)), bytes.NewReader(b)); err != nil || done[0].Err != nil {
		t.Fatal(done, err)
	}
	const path = "/api/v18/software/ven/image?os=el8&arch=x86_64"
	etag := `"` + digest(b) + `"`
	for _, c := range []struct {
		name   string
		method string
		header []string
		status int
		want   []byte
	}{
		{"all", "GET", nil, 200, b},
		{"head", "HEAD", nil, 200, nil},
		{"not modified", "GET", []string{"If-None-Match", etag}, 304, nil},
		{"another", "GET", []string{"If-None-Match", `"other"`}, 200, b},
		{"the rest", "GET", []string{"Range", "bytes=1000000-"}, 206, b[1000000:]},
		{"a part", "GET", []string{"Range", "bytes=5-9"}, 206, b[5:10]},
		{"the end", "GET", []string{"Range", "bytes=-7"}, 206, b[len(b)-7:]},
		{"resumed", "GET", []string{"Range", "bytes=1000-", "If-Range", etag}, 206, b[1000:]},
		{"resumed, of another file", "GET", []string{"Range", "bytes=1000-", "If-Range", `"other"`}, 200, b},
		{"behind the end", "GET", []string{"Range", "bytes=99999999-"}, 416, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := w.plain(c.method, path, "", c.header...).want(t, c.status)
			if c.status < 300 && !bytes.Equal(a.body, c.want) {
				t.Errorf("%d bytes, want %d others", len(a.body), len(c.want))
			}
			if got := a.Header.Get("ETag"); got != etag && c.status != 416 {
				t.Errorf("ETag %s, want %s", got, etag)
			}
			if c.status == 200 {
				if got := a.Header.Get("X-Checksum-Sha256"); got != digest(b) {
					t.Errorf("sum %s, want %s", got, digest(b))
				}
				if got := a.Header.Get("Content-Length"); got != fmt.Sprint(len(b)) {
					t.Errorf("Content-Length %s, want %d", got, len(b))
				}
				if got := a.Header.Get("Content-Disposition"); got != `attachment; filename="ven.el8.rpm"` {
					t.Errorf("Content-Disposition %s", got)
				}
			}
		})
	}
}
