package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/library/folder"
	"github.com/vpkg/vpkg/packaging"
)

func openDB(t *testing.T, name string) *DB {
	t.Helper()
	db, err := Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestOpen(t *testing.T) {
	name := filepath.Join(t.TempDir(), "odd name?#%41.db") // nothing of it is an option
	db := openDB(t, name)
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": fmt.Sprint(busyTimeout), "user_version": fmt.Sprint(len(migrations)),
	} {
		var got string
		if err := db.write.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", pragma, got, err, want)
		}
	}
	err := db.View(t.Context(), func(tx library.Tx) error { return tx.SetSetting("a", "b") })
	if err == nil {
		t.Error("View changed something")
	}
	fi, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", fi.Mode())
	}
	openDB(t, name) // a second time, while it is open
	if _, err := db.write.ExecContext(t.Context(), "PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), name); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("opening a newer schema: %v", err)
	}
	if err := os.WriteFile(name+"2", []byte("this is no database, and long enough to be seen as none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), name+"2"); err == nil {
		t.Error("a file that is no database was opened")
	}
}

func TestUpdateIsWhole(t *testing.T) {
	db := openDB(t, filepath.Join(t.TempDir(), "x.db"))
	stop := errors.New("stop")
	err := db.Update(t.Context(), func(tx library.Tx) error {
		return errors.Join(tx.SetSetting("a", "b"), tx.AddEvent(library.Event{Kind: "x"}), stop)
	})
	if !errors.Is(err, stop) {
		t.Errorf("got %v, want %v", err, stop)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = db.Update(ctx, func(tx library.Tx) error {
		err := tx.SetSetting("a", "c")
		cancel()
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	err = db.View(t.Context(), func(tx library.Tx) error {
		v, err := tx.Setting("a")
		es, err2 := tx.Events(0, 10)
		if v != "" || len(es) > 0 {
			t.Errorf("setting %q and %d events are left of broken off changes", v, len(es))
		}
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Error(err)
	}
}

// The state itself refuses a key that was used too often, whatever the library does.
func TestUsesAreBounded(t *testing.T) {
	db := openDB(t, filepath.Join(t.TempDir(), "x.db"))
	err := db.Update(t.Context(), func(tx library.Tx) error {
		p := library.NewProfile("x")
		if err := tx.SaveProfile(&p); err != nil {
			return err
		}
		k := library.Key{Profile: p.ID, Hash: make([]byte, 32), Allowed: 1, Used: 1}
		if err := tx.SaveKey(&k); err != nil {
			return err
		}
		k.Used = 2
		return tx.SaveKey(&k)
	})
	if err == nil || !strings.Contains(err.Error(), "CHECK") {
		t.Errorf("got %v, want a CHECK constraint", err)
	}
}

const (
	killDir  = "VPKG_TEST_KILL_DIR"
	killCode = "VPKG_TEST_KILL_CODE"
)

var secret = bytes.Repeat([]byte{1}, 32)

func killLibrary(db *DB, dir string) *library.Library {
	return &library.Library{
		Store: db, Packages: folder.Packages(filepath.Join(dir, "packages")), Secret: secret,
		Compare: strings.Compare,
		Read: func(_ context.Context, r io.ReaderAt, size int64) (*packaging.Package, string, error) {
			b := make([]byte, size)
			if _, err := r.ReadAt(b, 0); err != nil && err != io.EOF {
				return nil, "", err
			}
			version, _, _ := strings.Cut(string(b), "\n")
			return &packaging.Package{Name: "agent", Version: version, Release: "1.el8", Arch: "x86_64"}, "rpm", nil
		},
	}
}

// TestMain is also the program that TestKill kills: it imports and activates for
// ever, and tells what was acknowledged.
func TestMain(m *testing.M) {
	if dir := os.Getenv(killDir); dir != "" {
		if err := importAndActivate(os.Stdout, dir, os.Getenv(killCode)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) //nolint:forbidigo // it is a program's main
		}
	}
	os.Exit(m.Run()) //nolint:forbidigo // it is a program's main
}

func importAndActivate(w io.Writer, dir, code string) error {
	ctx := context.Background()
	db, err := Open(ctx, filepath.Join(dir, "x.db"))
	if err != nil {
		return err
	}
	l := killLibrary(db, dir)
	fmt.Fprintln(w, "open")
	for i := 0; ; i++ {
		name := filepath.Join(dir, fmt.Sprintf("agent-%d.%d.rpm", os.Getpid(), i))
		body := fmt.Sprintf("%d.%d\n%s", os.Getpid(), i, strings.Repeat("x", 300_000))
		if err := os.WriteFile(name, []byte(body), 0o600); err != nil {
			return err
		}
		done, err := l.Import(ctx, name)
		if err != nil || done[0].Err != nil {
			return errors.Join(err, done[0].Err)
		}
		fmt.Fprintln(w, "import", filepath.Base(name))
		paired, _, err := l.Activate(ctx, library.Activation{Code: code, Request: filepath.Base(name), Hostname: "h", OS: "o", Version: "1"})
		if err != nil {
			return err
		}
		fmt.Fprintln(w, "activate", paired.UUID)
	}
}

// TestKill kills a process amid imports and activations: what it acknowledged is
// there, and nothing is half there.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, filepath.Join(dir, "x.db"))
	l := killLibrary(db, dir)
	p, err := l.SaveProfile(t.Context(), library.NewProfile("x"))
	if err != nil {
		t.Fatal(err)
	}
	_, code, err := l.NewKey(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	for range 8 {
		acknowledged = append(acknowledged, kill(t, dir, code)...)
		checkState(t, dir, p.ID, acknowledged)
	}
}

// kill starts the program, kills it after some lines and some time, and gives the
// lines.
func kill(t *testing.T, dir, code string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), killDir+"="+dir, killCode+"="+code)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	s := bufio.NewScanner(out)
	for wait := 1 + rand.IntN(8); wait > 0 && s.Scan(); wait-- {
		lines = append(lines, s.Text())
	}
	time.Sleep(time.Duration(rand.IntN(10_000)) * time.Microsecond)
	if err := cmd.Process.Kill(); err != nil {
		t.Errorf("it ended by itself: %v", err)
	}
	for s.Scan() { // what it said before it was killed
		lines = append(lines, s.Text())
	}
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("the killed process: %v, %s", err, &stderr)
	}
	return lines[1:]
}

func checkState(t *testing.T, dir string, profile int64, acknowledged []string) {
	t.Helper()
	db, err := Open(t.Context(), filepath.Join(dir, "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var got string
	if err := db.read.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&got); err != nil || got != "ok" {
		t.Errorf("integrity check: %q, %v", got, err)
	}
	l := killLibrary(db, dir)
	if err := l.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	ws, err := l.Workloads(t.Context(), 0, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	p, err1 := l.Profile(t.Context(), profile)
	ks, err2 := l.Keys(t.Context(), profile)
	es, err3 := l.Events(t.Context(), 0, 1_000_000)
	rs, err4 := l.Releases(t.Context())
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, e := range es {
		count[e.Kind]++
	}
	n := len(ws)
	if int(p.UseCount) != n || int(ks[0].Used) != n || count[library.EventActivate] != n {
		t.Errorf("%d workloads, but %d uses of the profile, %d of the key, %d events", n, p.UseCount, ks[0].Used, count[library.EventActivate])
	}
	if count[library.EventImport] != len(rs) {
		t.Errorf("%d releases, but %d events", len(rs), count[library.EventImport])
	}
	there := map[string]bool{}
	for _, w := range ws {
		there["activate "+w.UUID] = true
	}
	for _, r := range rs {
		i := r.Images[0]
		there["import "+i.FileName] = true
		_, f, err := l.Open(t.Context(), i.FileName)
		if err != nil {
			t.Error(err)
			continue
		}
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil || packaging.Digest(h.Sum(nil)) != i.SHA256 {
			t.Errorf("%s: other bytes (%v)", i.FileName, err)
		}
		f.Close()
	}
	for _, s := range acknowledged {
		if !there[s] {
			t.Errorf("%q was acknowledged and is lost", s)
		}
	}
	files, err := os.ReadDir(filepath.Join(dir, "packages"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), ".upload-") })
	if len(files) != len(rs) {
		t.Errorf("%d releases, but %d files", len(rs), len(files))
	}
}

// TestLogIsBounded: there is always somebody who reads, so that SQLite by itself never
// gets round to merging its log.
func TestLogIsBounded(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.db")
	db := openDB(t, name)
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	defer readers.Wait()
	defer stop()
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				err := db.View(ctx, func(tx library.Tx) error {
					_, err := tx.Events(0, 5)
					return err
				})
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	const size, changes = 100_000, 250
	for range changes {
		err := db.Update(t.Context(), func(tx library.Tx) error {
			return tx.AddEvent(library.Event{Kind: "x", Detail: strings.Repeat("x", size)})
		})
		if err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(name + "-wal"); err != nil || fi.Size() > maxLog+(1<<20) {
			t.Fatalf("the log has %d bytes, %v; want at most %d", fi.Size(), err, maxLog)
		}
	}
	var timeout string
	if err := db.write.QueryRowContext(t.Context(), "PRAGMA busy_timeout").Scan(&timeout); err != nil || timeout != fmt.Sprint(busyTimeout) {
		t.Errorf("afterwards busy_timeout is %s, %v; want %d", timeout, err, busyTimeout)
	}
}

// Two processes change the same file: here two DBs.
func TestTwoWriters(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.db")
	dbs := []*DB{openDB(t, name), openDB(t, name)}
	const each = 30
	errs := make(chan error, len(dbs))
	for _, db := range dbs {
		go func() {
			var err error
			for i := 0; i < each && err == nil; i++ {
				err = db.Update(t.Context(), func(tx library.Tx) error {
					v, err := tx.Setting("n")
					if err != nil {
						return err
					}
					return tx.SetSetting("n", v+"x")
				})
			}
			errs <- err
		}()
	}
	for range dbs {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	err := dbs[0].View(t.Context(), func(tx library.Tx) error {
		v, err := tx.Setting("n")
		if len(v) != each*len(dbs) {
			t.Errorf("%d changes were kept, want %d", len(v), each*len(dbs))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
