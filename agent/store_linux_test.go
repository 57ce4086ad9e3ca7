package agent

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newStore is a data folder as it is before anything is activated.
func newStore(t *testing.T) Store {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o750); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return Store{Root: root, UID: -1, GID: -1}
}

var (
	testConfig   = ActivationConfig{Server: "pce.example.com:8443"}
	testIdentity = Identity{AgentID: "12", OrgID: "1", WorkloadUUID: "0f-a", Token: "sesame"}
	testPolicy   = Policy{Version: "7", Mode: ModeFull, Format: FormatNftables, Nftables: "table inet a { ct mark < 0x1 & 0xff; }\n"}
)

const testCode = "1c0dec0dec0de"

// fill writes every file.
func (s Store) fill(t *testing.T) {
	t.Helper()
	if err := s.Prepare(t.Context(), testConfig, []byte("PEM"), testCode); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RequestID(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.WritePolicy(testPolicy), s.WriteIdentity(testIdentity)); err != nil {
		t.Fatal(err)
	}
}

func (s Store) names(t *testing.T) string {
	t.Helper()
	entries, err := fs.ReadDir(s.Root.FS(), "etc")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		names = append(names, strings.Join([]string{e.Name(), info.Mode().String(), itoa(st.Uid), itoa(st.Gid)}, " "))
	}
	return strings.Join(names, "\n")
}

func itoa(n uint32) string { return string(rune('a' + n)) } // root is a, account 3 is d

func TestStore(t *testing.T) {
	s := newStore(t)
	if os.Getuid() == 0 {
		s.UID, s.GID = 3, 4
	}
	syscall.Umask(0o077)
	defer syscall.Umask(0o022)
	s.fill(t)
	if os.Getuid() == 0 {
		const want = `activation_code -rw------- d e
activation_request -rw------- d e
agent_activation.cfg -rw-r----- a e
agent_ca.pem -rw-r----- d e
agent_id.cfg -rw-r----- d e
agent_token -rw------- d e
policy.json -rw-r----- d e`
		if got := s.names(t); got != want {
			t.Errorf("files are\n%s\nwant\n%s", got, want)
		}
	}
	wantConfig := testConfig
	wantConfig.CAFile = filepath.Join(s.Root.Name(), CAFile)
	if c, _, err := s.Config(); err != nil || c != wantConfig {
		t.Errorf("configuration is %+v, %v", c, err)
	}
	if c, err := s.Code(); err != nil || c != testCode {
		t.Errorf("code is %q, %v", c, err)
	}
	if id, err := s.Identity(); err != nil || id != testIdentity {
		t.Errorf("identity is %+v, %v", id, err)
	}
	if p, err := s.Policy(); err != nil || p != testPolicy {
		t.Errorf("policy is %+v, %v", p, err)
	}

	first, err := s.RequestID()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.RequestID(); err != nil || again != first {
		t.Errorf("request id is %q, then %q, %v", first, again, err)
	}
	if err := s.WriteCode("another"); err != nil {
		t.Fatal(err)
	}
	if again, err := s.RequestID(); err != nil || again == first {
		t.Errorf("another code has the request id %q of the one before, %v", again, err)
	}

	if found, err := s.Forget(); !found || err != nil {
		t.Errorf("forget: %t, %v", found, err)
	}
	if got := s.names(t); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
	if found, err := s.Forget(); found || err != nil {
		t.Errorf("forget again: %t, %v", found, err)
	}
	if _, err := s.Identity(); !errors.Is(err, ErrNotActivated) {
		t.Errorf("identity: %v", err)
	}
}

// What stands for a file in a folder that somebody else may write to: root does
// not read, change or wait for anything by it.
func TestStorePlanted(t *testing.T) {
	plants := []struct {
		name  string
		plant func(s Store, name, victim string) error
	}{
		{"link out of the folder", func(_ Store, name, victim string) error { return os.Symlink(victim, name) }},
		{"link inside of the folder", func(s Store, name, _ string) error {
			if err := os.WriteFile(filepath.Join(s.Root.Name(), "inside"), []byte("victim"), 0o600); err != nil {
				return err
			}
			return os.Symlink("../inside", name)
		}},
		{"pipe", func(_ Store, name, _ string) error { return syscall.Mkfifo(name, 0o600) }},
		{"nothing behind a link", func(_ Store, name, _ string) error { return os.Symlink("nowhere", name) }},
	}
	reads := map[string]func(Store) error{
		ConfigFile:  func(s Store) error { _, _, err := s.Config(); return err },
		CodeFile:    func(s Store) error { _, err := s.Code(); return err },
		RequestFile: func(s Store) error { _, err := s.RequestID(); return err },
		IDFile:      func(s Store) error { _, err := s.Identity(); return err },
		TokenFile:   func(s Store) error { _, err := s.Identity(); return err },
		PolicyFile:  func(s Store) error { _, err := s.Policy(); return err },
	}
	for name, read := range reads {
		for _, tt := range plants {
			t.Run(name+", "+tt.name, func(t *testing.T) {
				s := newStore(t)
				s.fill(t)
				victim := filepath.Join(t.TempDir(), "victim")
				if err := os.WriteFile(victim, []byte("victim"), 0o600); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(s.Root.Name(), name)
				plant := func() {
					t.Helper()
					if err := errors.Join(os.RemoveAll(path), tt.plant(s, path, victim)); err != nil {
						t.Fatal(err)
					}
				}
				plant()
				err := read(s)
				// A link to nowhere is as good as no file.
				if err == nil && tt.name != "nothing behind a link" || err != nil && strings.Contains(err.Error(), "victim\"") {
					t.Errorf("read: %v", err)
				}
				plant()
				s.fill(t)
				if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
					t.Errorf("written: %v, %v", info, err)
				}
				plant()
				if found, err := s.Forget(); !found || err != nil {
					t.Errorf("forget: %t, %v", found, err)
				}
				if got := s.names(t); got != "" {
					t.Errorf("left behind:\n%s", got)
				}
				for _, v := range []string{victim, filepath.Join(s.Root.Name(), "inside")} {
					if b, err := os.ReadFile(v); err == nil && string(b) != "victim" {
						t.Errorf("%s is %q", v, b)
					}
				}
			})
		}
	}
}

// Another account for the services gets the files, and nothing else.
func TestStoreOwn(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	s := newStore(t)
	s.UID, s.GID = 3, 4
	s.fill(t)
	s.UID = 5
	in := func(name string) string { return filepath.Join(s.Root.Name(), name) }
	roots, twice := in("root's"), in("twice")
	if err := errors.Join(
		os.WriteFile(roots, nil, 0o600), os.Remove(in(CodeFile)), os.Rename(roots, in(CodeFile)),
		os.WriteFile(twice, nil, 0o600), os.Chown(twice, 6, 6), os.Remove(in(TokenFile)), os.Link(twice, in(TokenFile)),
		os.Remove(in(PolicyFile)), os.Symlink(twice, in(PolicyFile)), os.Remove(in(RequestFile)),
	); err != nil {
		t.Fatal(err)
	}
	if err := s.Own(); err == nil || strings.Count(err.Error(), "\n") != 0 || !strings.Contains(err.Error(), PolicyFile) {
		t.Errorf("error is %v, want one about the link", err)
	}
	const want = `activation_code -rw------- a a
agent_activation.cfg -rw-r----- a e
agent_ca.pem -rw-r----- f e
agent_id.cfg -rw-r----- f e
agent_token -rw------- g g
policy.json Lrwxrwxrwx a a`
	if got := s.names(t); got != want {
		t.Errorf("files are\n%s\nwant\n%s", got, want)
	}
}

func TestStoreErase(t *testing.T) {
	s := newStore(t)
	s.fill(t)
	path := filepath.Join(s.Root.Name(), CodeFile)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// A process that was killed while it wrote the code.
	if err := os.WriteFile(filepath.Join(s.Root.Name(), newName(CodeFile)), []byte(testCode), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.EraseCode(); err != nil {
		t.Fatal(err)
	}
	var b [64]byte
	if n, _ := f.Read(b[:]); n != len(testCode)+1 || strings.Trim(string(b[:n]), "\x00") != "" {
		t.Errorf("the erased file holds %q", b[:n])
	}
	if got := s.names(t); strings.Contains(got, "activation_code") || strings.Contains(got, "request") {
		t.Errorf("left behind:\n%s", got)
	}

	// Another name of a file that may be somebody else's.
	other := filepath.Join(s.Root.Name(), "other")
	if err := os.WriteFile(other, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Link(other, path), s.EraseCode()); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(other); err != nil || string(b) != "other" {
		t.Errorf("the file of two names is %q, %v", b, err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the second name is left")
	}
}

func TestStoreLock(t *testing.T) {
	s := newStore(t)
	unlock, err := s.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
	defer cancel()
	if _, err := s.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second lock: %v", err)
	}
	unlock()
	if unlock, err = s.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	unlock()

	etc := filepath.Join(s.Root.Name(), "etc")
	if err := errors.Join(os.Remove(etc), syscall.Mkfifo(etc, 0o600)); err != nil { // must not be waited for
		t.Fatal(err)
	}
	if unlock, err := s.Lock(t.Context()); err == nil {
		unlock()
	}
	if err := s.WriteCode(testCode); err == nil {
		t.Error("written into a pipe")
	}
}

// A policy that the process that loads it would refuse is not written.
func TestStoreWritePolicy(t *testing.T) {
	s := newStore(t)
	if err := s.WritePolicy(testPolicy); err != nil {
		t.Fatal(err)
	}
	large := testPolicy
	large.Nftables = strings.Repeat("x", maxPolicyFile)
	for _, p := range []Policy{{Version: "8", Mode: ModeFull}, large} {
		if err := s.WritePolicy(p); err == nil {
			t.Errorf("policy of %d bytes is written", len(p.Nftables))
		}
	}
	if p, err := s.Policy(); err != nil || p != testPolicy {
		t.Errorf("policy is %+v, %v", p, err)
	}
}
