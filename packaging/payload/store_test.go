//go:build unix

package payload

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

var zstdDefault = packaging.Compression{Codec: "zstd"}

// TestKnown builds twice: the second time nothing is compressed and no large body
// is read. The third time one large body is another.
func TestKnown(t *testing.T) {
	dir := t.TempDir()
	steps, _ := makeSteps(100, 9<<20, 1000, 1<<20, 2<<20)
	s := openStore(t, dir, 1<<30)
	first := encode(t, s, zstdDefault, 2, 100, steps)
	if first.Verified() {
		t.Error("a payload that is new is Verified")
	}
	if err := first.Confirm(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = openStore(t, dir, 1<<30)
	defer s.Close()
	steps, _ = makeSteps(100, 9<<20, 1000, 1<<20, 2<<20)
	second := encode(t, s, zstdDefault, 2, 100, steps)
	if second.Compressed != 0 {
		t.Errorf("the second time %d frames were compressed, want 0", second.Compressed)
	}
	if first.SHA256 != second.SHA256 || first.PlainSHA256 != second.PlainSHA256 || first.Size != second.Size || first.PlainSize != second.PlainSize {
		t.Errorf("the second time made %+v, the first %+v", second, first)
	}
	if !second.Verified() {
		t.Error("the second time is not Verified")
	}
	for _, st := range steps {
		if e := st.body; e != nil && e.Size >= ownFrames && e.Body.(*content).opens != 0 {
			t.Errorf("%s of %d bytes was opened", e.Path, e.Size)
		}
	}
	written(t, second)

	e, _ := entry("/f3", someBytes(1<<20, 99))
	steps[7].body = e
	third := encode(t, s, zstdDefault, 2, 100, steps)
	if third.Compressed != 1 {
		t.Errorf("with one new body %d frames were compressed, want 1", third.Compressed)
	}
	if third.Verified() {
		t.Error("a payload with a new body is Verified")
	}
	b := written(t, third)
	var all []byte
	for _, st := range steps {
		all = append(all, st.header...)
		if st.body != nil {
			all = append(all, st.body.Body.(*content).b...)
		}
	}
	if !bytes.Equal(decoded(t, "zstd", b), all) {
		t.Error("what was read back differs from what was written")
	}
	if want := digestOfBytes(all); third.PlainSHA256 != want {
		t.Errorf("PlainSHA256 is %s, want %s", third.PlainSHA256, want)
	}
}

// TestShared writes the same bodies with other headers, as RPM and DEB do, and
// the same body twice.
func TestShared(t *testing.T) {
	s := tempStore(t)
	steps, _ := makeSteps(9<<20, 1<<20)
	encode(t, s, zstdDefault, 2, 100, steps)
	for i := range steps {
		if steps[i].body == nil {
			steps[i].header = []byte("another header")
		}
	}
	e := encode(t, s, zstdDefault, 2, 100, append(steps, steps...))
	if e.Compressed != 0 {
		t.Errorf("%d frames were compressed, want 0", e.Compressed)
	}
	if e := encode(t, tempStore(t), zstdDefault, 2, 100, append(steps, steps...)); e.Compressed != 3 {
		t.Errorf("with an empty store %d frames were compressed, want 3", e.Compressed)
	}
}

func digestOfBytes(b []byte) packaging.Digest {
	e, _ := entry("", b)
	return e.SHA256
}

// TestCorruption damages each frame of a store in another way.
func TestCorruption(t *testing.T) {
	steps, _ := makeSteps(ownFrames, 400_000, 5000, 300_000)
	for name, damage := range map[string]func(b, other []byte) []byte{
		"flipped byte":    func(b, _ []byte) []byte { b[len(b)/2]++; return b },
		"flipped trailer": func(b, _ []byte) []byte { b[len(b)-60]++; return b },
		"truncated":       func(b, _ []byte) []byte { return b[:len(b)/2] },
		"empty":           func([]byte, []byte) []byte { return nil },
		"longer":          func(b, _ []byte) []byte { return append(b, 0) },
		"another's":       func(_, other []byte) []byte { return other },
	} {
		dir := t.TempDir()
		s := openStore(t, dir, 0)
		want := encode(t, s, zstdDefault, 1, 100, steps)
		var last []byte
		damaged := 0
		for _, path := range storeFiles(t, dir) {
			if !strings.Contains(path, "frames") {
				continue
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if last != nil || name != "another's" {
				damaged++
				if err := os.WriteFile(path, damage(bytes.Clone(b), last), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			last = b
		}
		got := encode(t, s, zstdDefault, 1, 100, steps)
		if got.SHA256 != want.SHA256 || got.PlainSHA256 != want.PlainSHA256 {
			t.Errorf("%s: payload has SHA-256 %s, want %s", name, got.SHA256, want.SHA256)
		}
		if got.Compressed != damaged {
			t.Errorf("%s: %d frames were compressed, want the %d that were damaged", name, got.Compressed, damaged)
		}
		written(t, got)
		if again := encode(t, s, zstdDefault, 1, 100, steps); again.Compressed != 0 {
			t.Errorf("%s: after that %d frames were compressed, want 0", name, again.Compressed)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestVanished removes the store under an Encoded.
func TestVanished(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, 0)
	defer s.Close()
	steps, _ := makeSteps(1 << 20)
	e := encode(t, s, zstdDefault, 1, 100, steps)
	if err := os.RemoveAll(filepath.Join(dir, "v"+layoutVersion, "frames")); err != nil {
		t.Fatal(err)
	}
	if _, err := e.WriteTo(new(bytes.Buffer)); err == nil || !strings.HasPrefix(err.Error(), "frame store: open ") {
		t.Errorf("WriteTo returned %v", err)
	}
}

func TestEviction(t *testing.T) {
	dir := t.TempDir()
	a := openStore(t, dir, 1) // keeps nothing
	b := openStore(t, dir, 0)
	old, _ := makeSteps(1 << 20)
	young, _ := makeSteps(2<<20, 3<<20)
	encode(t, a, zstdDefault, 1, 100, old)
	past := time.Now().Add(-2 * time.Hour)
	setTimes(t, storeFiles(t, dir), past)
	e := encode(t, b, zstdDefault, 1, 100, young)
	var used, unused []string
	for _, f := range storeFiles(t, dir) {
		fi, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if fi.ModTime().Equal(past) {
			unused = append(unused, f)
			continue
		}
		used = append(used, f)
		b.limit += fi.Size()
	}
	if len(used) < 3 || len(unused) < 2 {
		t.Fatalf("the test wants more than %q used and %q unused", used, unused)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := len(storeFiles(t, dir)), len(used)+len(unused); got != want {
		t.Errorf("closing a store while another was open left %d of %d files", got, want)
	}
	written(t, e)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got := storeFiles(t, dir); !slices.Equal(got, used) {
		t.Errorf("closing the last store left %q, want %q", got, used)
	}

	// What is used again is young again.
	c := openStore(t, dir, 1)
	setTimes(t, storeFiles(t, dir), past)
	encode(t, c, zstdDefault, 1, 100, young)
	for _, f := range storeFiles(t, dir) {
		if fi, err := os.Stat(f); err != nil || !fi.ModTime().After(past) {
			t.Errorf("%s was used and is old: %v", f, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := storeFiles(t, dir); len(got) > 0 {
		t.Errorf("with a limit of 1 byte there is %q", got)
	}
}

func setTimes(t testing.TB, files []string, to time.Time) {
	t.Helper()
	for _, f := range files {
		if err := os.Chtimes(f, to, to); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAbandoned(t *testing.T) {
	dir := t.TempDir()
	if err := openStore(t, dir, 0).Close(); err != nil {
		t.Fatal(err)
	}
	tmp := filepath.Join(dir, "v"+layoutVersion, "tmp")
	for _, name := range []string{"frame-old", "frame-young"} {
		if err := os.WriteFile(filepath.Join(tmp, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-abandoned - time.Hour)
	if err := os.Chtimes(filepath.Join(tmp, "frame-old"), past, past); err != nil {
		t.Fatal(err)
	}
	if err := openStore(t, dir, 0).Close(); err != nil {
		t.Fatal(err)
	}
	if got := storeFiles(t, dir); len(got) != 1 || filepath.Base(got[0]) != "frame-young" {
		t.Errorf("opening left %q, want frame-young alone", got)
	}
}

func TestTempStores(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	open := func() *Store {
		s, err := TempStore()
		if err != nil {
			t.Fatal(err)
		}
		past := time.Now().Add(-abandoned - time.Hour)
		if err := os.Chtimes(s.dir, past, past); err != nil {
			t.Fatal(err)
		}
		return s
	}
	used, left := open(), open()
	if err := left.lock.Close(); err != nil { // as when its process is gone
		t.Fatal(err)
	}
	third := open()
	for _, tt := range []struct {
		name string
		s    *Store
		want bool
	}{{"the one in use", used, true}, {"the abandoned one", left, false}, {"the new one", third, true}} {
		if _, err := os.Stat(tt.s.dir); (err == nil) != tt.want {
			t.Errorf("%s: Stat says %v", tt.name, err)
		}
	}
	for _, s := range []*Store{used, third} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.dir); err == nil {
			t.Error("Close left the folder")
		}
		if err := s.Close(); err != nil {
			t.Errorf("closing twice: %v", err)
		}
	}
}

func TestMD5s(t *testing.T) {
	dir := t.TempDir()
	var l packaging.Layout
	want := map[packaging.Digest][16]byte{}
	for i := range 10 {
		b := someBytes(100_000*i, uint64(i))
		e, _ := entry(fmt.Sprintf("/f%d", i), b)
		l = append(l, *e)
		want[e.SHA256] = md5.Sum(b)
	}
	l = append(l, packaging.Entry{Path: "/ghost", Ghost: true}, packaging.Entry{Path: "/link", HardLink: "/f0"})
	for range 2 {
		s := openStore(t, dir, 0)
		got, err := s.MD5s(t.Context(), l, 2)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, e := range l[:10] {
		if n := e.Body.(*content).opens; n != 1 {
			t.Errorf("%s was opened %d times, want once", e.Path, n)
		}
	}
	s := openStore(t, dir, 0)
	defer s.Close()
	e, c := entry("/wrong", someBytes(1000, 1))
	c.b = c.b[1:]
	if _, err := s.MD5s(t.Context(), packaging.Layout{*e}, 1); err == nil || !strings.HasPrefix(err.Error(), "/wrong changed while it was read") {
		t.Errorf("wrong body: got error %v", err)
	}
	e, _ = entry("/new", someBytes(1000, 2))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.MD5s(ctx, packaging.Layout{*e}, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: got error %v", err)
	}
}

func TestUnusableStore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(file, 0); err == nil || !strings.HasPrefix(err.Error(), "opening frame store "+file+": ") {
		t.Errorf("got error %v", err)
	}
}

// childEnv makes the test binary do what it names instead of testing.
const childEnv = "VPKG_PAYLOAD_TEST_CHILD"

// child encodes into the store in the folder dir and prints the digest; slow
// reads a large body at the end that takes long.
func child(dir string, slow bool) error {
	steps, _ := makeSteps(9<<20, 1000, 1<<20, 2<<20)
	if slow {
		e, c := entry("/slow", someBytes(40<<20, 7))
		c.read = func() { time.Sleep(10 * time.Millisecond) }
		steps = append(steps, step{body: e})
	}
	s, err := OpenStore(dir, 1<<30)
	if err != nil {
		return err
	}
	w, err := s.NewWriter(context.Background(), zstdDefault, 2)
	if err != nil {
		return err
	}
	defer w.Abort()
	for _, st := range steps {
		if _, err := w.Write(st.header); err != nil {
			return err
		}
		if st.body == nil {
			continue
		}
		if err := w.Body(st.body); err != nil {
			return err
		}
	}
	e, err := w.Close()
	if err != nil {
		return err
	}
	h := new(bytes.Buffer)
	if _, err := e.WriteTo(h); err != nil {
		return err
	}
	fmt.Println(digestOfBytes(h.Bytes()), e.Compressed) //nolint:forbidigo // a child process of the test
	return s.Close()
}

// children are what the test binary can do instead.
var children = map[string]func(arg string) error{
	"fast":  func(dir string) error { return child(dir, false) },
	"slow":  func(dir string) error { return child(dir, true) },
	"large": largeChild,
}

func TestMain(m *testing.M) {
	if mode := os.Getenv(childEnv); mode != "" {
		if err := children[mode](os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) //nolint:forbidigo // a child process of the test
		}
		os.Exit(0) //nolint:forbidigo // a child process of the test
	}
	os.Exit(m.Run()) //nolint:forbidigo // as TestMain has to
}

func childCommand(t testing.TB, mode, dir string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, dir)
	cmd.Env = append(os.Environ(), childEnv+"="+mode)
	return cmd
}

// TestProcesses has several processes fill one store at once.
func TestProcesses(t *testing.T) {
	dir := t.TempDir()
	var cmds []*exec.Cmd
	var outs []*bytes.Buffer
	for range 3 {
		cmd := childCommand(t, "fast", dir)
		out := new(bytes.Buffer)
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmds, outs = append(cmds, cmd), append(outs, out)
	}
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("process %d: %v\n%s", i, err, outs[i])
		}
	}
	out, err := childCommand(t, "fast", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	digest, compressed, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if compressed != "0" {
		t.Errorf("a process after the others compressed %s frames, want 0", compressed)
	}
	for i, o := range outs {
		if !strings.HasPrefix(o.String(), digest+" ") {
			t.Errorf("process %d made %q, a later one %q", i, o, digest)
		}
	}
	for _, f := range storeFiles(t, dir) {
		if filepath.Base(filepath.Dir(f)) == "tmp" {
			t.Errorf("left in the store: %s", f)
		}
	}
}

// TestKilled kills a process while it reads a large body.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	cmd := childCommand(t, "slow", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tmp := filepath.Join(dir, "v"+layoutVersion, "tmp")
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if frames, _ := filepath.Glob(filepath.Join(dir, "v"+layoutVersion, "frames/*/*")); len(frames) >= 4 {
			break
		}
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if temps, _ := os.ReadDir(tmp); len(temps) > 0 {
			break
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	past := time.Now().Add(-abandoned - time.Hour)
	temps, err := os.ReadDir(tmp)
	if err != nil || len(temps) == 0 {
		t.Fatalf("the process left nothing in tmp/: the test proves nothing (%v)", err)
	}
	for _, f := range temps {
		if err := os.Chtimes(filepath.Join(tmp, f.Name()), past, past); err != nil {
			t.Fatal(err)
		}
	}
	s := openStore(t, dir, 0)
	defer s.Close()
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("a later OpenStore left %v", left)
	}
	steps, all := makeSteps(9<<20, 1000, 1<<20, 2<<20)
	e := encode(t, s, zstdDefault, 2, 100, steps)
	if b := written(t, e); !bytes.Equal(decoded(t, "zstd", b), all) {
		t.Error("a payload from what the killed process left is wrong")
	}
}
