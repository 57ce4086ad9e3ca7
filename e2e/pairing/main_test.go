//go:build linux

// Package pairing pairs machines with a library server by the line that it shows: in
// boxes with a network of their own, and a server in another.
package pairing

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/testbed"
)

const (
	product = "illumio-ven"
	release = "25.2.20-10"
	address = "10.55.0.1" // of the server, in the tests' namespace
	first   = address + ":8443"
)

func TestMain(m *testing.M) {
	testbed.Main(m, testbed.Setup{Suites: []testbed.Suite{testbed.Bullseye, testbed.Bookworm, testbed.Trixie}, Before: build})
}

// build makes the programs, the packages, a library that offers them, and the RPM that
// stands for a system.
func build(ctx context.Context, dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "base.spec"), []byte(baseSpec), 0o644); err != nil {
		return err
	}
	library := []string{filepath.Join(dir, "vpkg-library"), "--data", filepath.Join(dir, "data")}
	for _, argv := range [][]string{
		{"env", "CGO_ENABLED=0", "go", "build", "-buildvcs=false", "-o", dir + "/", "github.com/vpkg/vpkg/cmd/vpkg", "github.com/vpkg/vpkg/cmd/vpkg-library"},
		{filepath.Join(dir, "vpkg"), "build", "--os", "el9,el10,sles15,debian12,debian13", "--arch", runtime.GOARCH, "--version", release, "--out", filepath.Join(dir, "dist")},
		append(library, "import", filepath.Join(dir, "dist")),
		{"rpmbuild", "-bb", "--quiet", "--define", "_topdir " + filepath.Join(dir, "base"), filepath.Join(dir, "base.spec")},
	} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, bytes.TrimSpace(out))
		}
	}
	return nil
}

// baseSpec is a package without files that provides what the product's dependencies
// find on real systems: a box has Debian's files, but its rpm database is empty.
const baseSpec = `
Name: base
Version: 1
Release: 1
Summary: What every system of the target has
License: none
BuildArch: noarch
Provides: /bin/sh, /usr/sbin/useradd, /usr/sbin/groupadd
Provides: iptables = 1.8.7, ipset = 7.11, kmod = 28, nftables = 1.0.4, systemd = 250
%description
%files
`

// A library is a running `vpkg-library serve`.
type library struct {
	data, server string
	pid          int
	log          string // a file
}

var (
	shared     library
	sharedOnce sync.Once
)

// one is the library that most tests pair with.
func one(t *testing.T) library {
	t.Helper()
	testbed.Need(t)
	sharedOnce.Do(func() {
		run(t, "ip", "link", "set", "lo", "up")
		run(t, "ip", "addr", "add", address+"/32", "dev", "lo")
		shared = serve(t, filepath.Join(testbed.Dir(t), "data"), first)
	})
	if shared.pid == 0 {
		t.Fatal("the server does not run")
	}
	t.Cleanup(func() { searchServer(t, shared) }) // the last test to end has all codes
	return shared
}

// serve starts a server that runs as long as the tests do.
func serve(t *testing.T, data, listen string) library {
	t.Helper()
	l := library{data: data, server: listen, log: data + ".log"}
	out, err := os.Create(l.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(filepath.Join(testbed.Dir(t), "vpkg-library"), "serve", "--data", data, "--listen", listen, "--host", address, "--log-level", "debug", "--heartbeat", "1s")
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), "TEST_ADDRESS="+address) // to be found
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil { // it dies with the tests' namespace
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if exec.Command("curl", "-fsk", "https://"+listen+"/readyz").Run() == nil {
			break
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(l.log)
			t.Fatalf("the server is not ready:\n%s", said)
		}
	}
	l.pid = cmd.Process.Pid
	return l
}

func run(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

func (l library) run(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, append([]string{filepath.Join(testbed.Dir(t), "vpkg-library"), "--data", l.data}, args...)...)
}

// profile makes a pairing profile and returns its number.
func (l library) profile(t *testing.T, args ...string) string {
	t.Helper()
	before := map[string]bool{}
	list := func() (ids []string) {
		var all []struct{ ID int64 }
		parse(t, l.run(t, "profile", "list", "--json"), &all)
		for _, p := range all {
			ids = append(ids, strconv.FormatInt(p.ID, 10))
		}
		return ids
	}
	profiles.Lock()
	defer profiles.Unlock()
	for _, id := range list() {
		before[id] = true
	}
	l.run(t, append([]string{"profile", "create", fmt.Sprintf("%s %d", t.Name(), len(before))}, args...)...)
	for _, id := range list() {
		if !before[id] {
			return id
		}
	}
	t.Fatal("there is no profile more")
	return ""
}

var profiles sync.Mutex

func parse(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

var codes struct {
	sync.Mutex
	all []string
}

// line is what the console shows for a new key, and its code.
func (l library) line(t *testing.T, profile string, options ...string) (line, code string) {
	t.Helper()
	line = strings.TrimSpace(l.run(t, append([]string{"key", "create", profile, "--one-liner", "linux", "--server", l.server}, options...)...))
	_, code, _ = strings.Cut(line, "--activation-code ")
	code, _, _ = strings.Cut(code, " ")
	if len(code) != 80 {
		t.Fatalf("there is no code in %s", line)
	}
	codes.Lock()
	defer codes.Unlock()
	codes.all = append(codes.all, code)
	return line, code
}

var links atomic.Int32

// boot makes a machine that is connected with the server.
func boot(t *testing.T, s system) *testbed.Box {
	t.Helper()
	b := testbed.New(t, s.suite)
	b.Boot(t)
	b.Link(t, int(links.Add(1)))
	if s.release != "" {
		b.Sh(t, "rm -f /etc/os-release").OK(t)
		b.Write(t, "/etc/os-release", s.release)
		base := b.Copy(t, "/packages", filepath.Join(testbed.Dir(t), "base/RPMS/noarch/base-1-1.noarch.rpm"))[0]
		b.Run(t, "rpm", "-i", base).OK(t)
	}
	for _, tool := range s.without {
		b.Run(t, "rm", "/usr/bin/"+tool).OK(t)
	}
	return b
}
