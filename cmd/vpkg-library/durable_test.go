//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/library/authority"
)

// acknowledged is what a client was told.
type acknowledged struct {
	mu  sync.Mutex
	ids map[string]string // of agents, by request
}

// pairMany activates from several goroutines until the server does not answer. Each
// request that was not answered is one that is asked again after the next start.
func pairMany(ctx context.Context, p *process, code string, all *acknowledged, pending *[]string, next *int) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range 8 {
		wg.Go(func() {
			for {
				mu.Lock()
				var request string
				if n := len(*pending); n > 0 {
					request, *pending = (*pending)[n-1], (*pending)[:n-1]
				} else {
					request = fmt.Sprintf("%032x", *next)
					*next++
				}
				mu.Unlock()
				status, a := p.activate(ctx, code, request)
				if status != http.StatusCreated || a.AgentID == "" {
					mu.Lock()
					*pending = append(*pending, request)
					mu.Unlock()
					return
				}
				all.mu.Lock()
				all.ids[request] = a.AgentID
				all.mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// TestKill kills the server and an import again and again, amid activations. Nothing
// that was acknowledged is lost, no key is used twice for one machine, and no package
// is offered that is not whole.
func TestKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "library")
	id := do(t, "profile", "create", "--data", dir, "web")
	code := do(t, "key", "create", "--data", dir, id)
	var pkgs []string
	for i := range 6 {
		pkgs = append(pkgs, filepath.Join(t.TempDir(), "dist"))
		if err := packLarge(pkgs[i], fmt.Sprintf("25.2.%d-1", i), 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	all := &acknowledged{ids: map[string]string{}}
	var pending, imported []string
	next := 1
	for i := range pkgs {
		p := serve(t, dir, "--plain-http", "--rate-limit", "0")
		imports := program(t.Context(), append([]string{"import", "--data", dir}, pkgs[:i+1]...)...)
		var out bytes.Buffer
		imports.Stdout = &out
		if err := imports.Start(); err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Duration(30+rand.IntN(300)) * time.Millisecond) // the moment is any
			p.cmd.Process.Kill()                                            //nolint:errcheck // it runs
			imports.Process.Kill()                                          //nolint:errcheck // it may have ended
		}()
		pairMany(t.Context(), p, code, all, &pending, &next)
		if err := <-p.done; err == nil {
			t.Error("the server ended by itself")
		}
		imports.Wait() //nolint:errcheck // it was killed, or not
		for line := range strings.Lines(out.String()) {
			if f := strings.Fields(line); len(f) > 1 && f[0] != "refused" {
				imported = append(imported, f[1])
			}
		}
	}
	p := serve(t, dir, "--plain-http", "--rate-limit", "0")
	if len(pending) == 0 || len(all.ids) == 0 {
		t.Fatalf("%d activations were answered and %d were not: this shows nothing", len(all.ids), len(pending))
	}
	for _, request := range pending { // an agent asks again
		status, a := p.activate(t.Context(), code, request)
		if status != http.StatusCreated {
			t.Errorf("repeating an activation: status %d", status)
		}
		all.ids[request] = a.AgentID
	}
	for request, id := range all.ids { // and is always answered the same
		if status, a := p.activate(t.Context(), code, request); status != http.StatusCreated || a.AgentID != id {
			t.Errorf("request %s was answered with agent %s, and now with %q (status %d)", request, id, a.AgentID, status)
		}
	}
	p.end()
	checkAfterKill(t, dir, len(all.ids), imported)
}

func checkAfterKill(t *testing.T, dir string, machines int, imported []string) {
	t.Helper()
	var ws []struct {
		Hostname string `json:"hostname"`
	}
	if err := json.Unmarshal([]byte(do(t, "workload", "list", "--data", dir, "--json", "--limit", "1000000")), &ws); err != nil {
		t.Fatal(err)
	}
	if len(ws) != machines {
		t.Errorf("%d machines are paired, want %d", len(ws), machines)
	}
	var ks []struct {
		Used int `json:"used"`
	}
	if err := json.Unmarshal([]byte(do(t, "key", "list", "--data", dir, "--json")), &ks); err != nil {
		t.Fatal(err)
	}
	if len(ks) != 1 || ks[0].Used != machines {
		t.Errorf("keys are %v, want one that was used %d times", ks, machines)
	}
	var rs []listedRelease
	if err := json.Unmarshal([]byte(do(t, "list", "--data", dir, "--json")), &rs); err != nil {
		t.Fatal(err)
	}
	offered := map[string]library.Image{}
	for _, r := range rs {
		for _, i := range r.Images {
			offered[i.FileName] = i
			b, err := os.ReadFile(filepath.Join(dir, packagesFolder, i.SHA256.String()))
			if err != nil || authority.SHA256(b) != i.SHA256.String() {
				t.Errorf("%s is offered, and is not whole: %v", i.FileName, err)
			}
		}
	}
	for _, name := range imported {
		if _, ok := offered[name]; !ok {
			t.Errorf("%s was imported, and is not offered", name)
		}
	}
	// What was left behind is removed by the start of a server, a day later.
	before := time.Now().Add(-25 * time.Hour)
	packages := func() []string { // none, if no import came that far
		names, err := filepath.Glob(filepath.Join(dir, packagesFolder, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	for _, name := range packages() {
		if err := os.Chtimes(name, before, before); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, dir, "--plain-http").end()
	if got := packages(); len(got) != len(offered) {
		t.Errorf("the folder has %q, want the %d packages that are offered", got, len(offered))
	}
}

// TestFullDisk fills the disk of a server, which says so, loses nothing, and goes on
// when there is room again.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		oracle.Skip(t, "a file system of its own is for root alone")
	}
	oracle.Need(t, "unshare", "mount")
	dir := t.TempDir()
	pkgs := filepath.Join(t.TempDir(), "dist")
	if err := packLarge(pkgs, "25.2.20-10", 1<<20); err != nil {
		t.Fatal(err)
	}
	// Everything that is run for it is run by a shell in its namespace, whose root this
	// process sees in /proc.
	script := `mount -t tmpfs -o size=12m,mode=700 none "$1" && "$0" import --data "$1" "$2" >&2 && "$0" profile create --data "$1" x >&2 &&
		"$0" key create --data "$1" 1 >"$1/code" && exec "$0" serve --data "$1" --plain-http --listen 127.0.0.1:0 --host 127.0.0.1 --rate-limit 0`
	cmd := exec.CommandContext(t.Context(), "unshare", "-m", "sh", "-c", script, os.Args[0], dir, pkgs)
	cmd.Env = append(os.Environ(), asProgram, "GORACE="+noWait)
	p := start(t, cmd)
	inside := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "root", dir)
	code, err := os.ReadFile(filepath.Join(inside, "code"))
	if err != nil {
		t.Fatal(err)
	}
	c := strings.TrimSpace(string(code))
	status, first := p.activate(t.Context(), c, "1")
	if status != http.StatusCreated {
		t.Fatalf("activating: status %d", status)
	}
	filler := filepath.Join(inside, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	// Some more fit into what the log has room for, and then none.
	answered := map[string]agent.Activation{"1": first}
	for i := 2; status == http.StatusCreated; i++ {
		if i > 100_000 {
			t.Fatal("the disk does not become full")
		}
		var a agent.Activation
		request := strconv.Itoa(i)
		if status, a = p.activate(t.Context(), c, request); status == http.StatusCreated {
			answered[request] = a
		}
	}
	if status != http.StatusInsufficientStorage {
		t.Errorf("activating on a full disk: status %d", status)
	}
	if status, b := p.get(image); status != http.StatusOK || len(b) < 1<<20 {
		t.Errorf("a download on a full disk: status %d, %d bytes", status, len(b))
	}
	if status, b := p.get("/readyz"); status == http.StatusOK {
		t.Errorf("it is ready, it says: %s", b)
	}
	if !strings.Contains(p.log.String(), "full") {
		t.Errorf("the log does not say that the disk is full:\n%s", p.log)
	}
	more := filepath.Join(t.TempDir(), "dist")
	if err := packLarge(more, "25.2.20-11", 1<<20); err != nil {
		t.Fatal(err)
	}
	out, err := program(t.Context(), "import", "--data", inside, more).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("refused   illumio-ven-25.2.20-11.el9.x86_64.rpm: ")) || !bytes.Contains(out, []byte("no space left on device")) {
		t.Errorf("an import on a full disk: %v\n%s", err, out)
	}
	if es, err := os.ReadDir(filepath.Join(inside, packagesFolder)); err != nil || len(es) != 1 {
		t.Errorf("it left %v, %v", es, err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	p.until("room to be used", func() bool {
		status, a := p.activate(t.Context(), c, "after")
		answered["after"] = a
		return status == http.StatusCreated
	})
	do(t, "import", "--data", inside, more)
	for request, a := range answered {
		if status, b := p.activate(t.Context(), c, request); status != http.StatusCreated || a.AgentID == "" || b != a {
			t.Errorf("request %s: %s before, and now %s (status %d)", request, a.AgentID, b.AgentID, status)
		}
	}
	p.end()
}

// TestSecrets: no code, secret, token or password stays anywhere, but with the one who
// was given it.
func TestSecrets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "library")
	p := serve(t, dir, "--plain-http", "--log-level", "debug")
	do(t, "profile", "create", "--data", dir, "web")
	code := do(t, "key", "create", "--data", dir, "1")
	_, secret, ok := strings.Cut(do(t, "api-key", "create", "--data", dir, "build"), ":")
	if !ok {
		t.Fatal("an API key without a secret")
	}
	status, a := p.activate(t.Context(), code, "1")
	if status != http.StatusCreated {
		t.Fatalf("activating: status %d", status)
	}
	wrong := strings.Repeat("0", 80)
	if status, _ := p.activate(t.Context(), wrong, "2"); status < 400 || status >= 500 {
		t.Errorf("a wrong code: status %d", status)
	}
	chosen := "a password that is long enough"
	cmd := program(t.Context(), "password", "--data", dir, "--stdin")
	cmd.Stdin = strings.NewReader(chosen + "\n")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) != 0 {
		t.Errorf("setting a password: %v, %s", err, out)
	}
	secrets := map[string]string{
		"activation code": code, "wrong code": wrong, "secret of the API key": secret, "token": a.Token,
		"first password": p.password, "password": chosen,
	}
	for what, s := range secrets {
		if len(s) < 8 {
			t.Fatalf("the %s is %q", what, s)
		}
		for _, name := range []string{"cmdline", "environ"} {
			b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), name))
			if err != nil || len(b) == 0 || bytes.Contains(b, []byte(s)) {
				t.Errorf("the %s is in the process's %s (%v)", what, name, err)
			}
		}
		if strings.Contains(p.log.String(), s) {
			t.Errorf("the %s is in the log", what)
		}
	}
	files := filesWith(t, dir, secrets)
	p.end()
	files = append(files, filesWith(t, dir, secrets)...) // after the log was merged, too
	if len(files) > 0 {
		t.Errorf("found are %q", files)
	}
	if !slices.Contains(filesWith(t, dir, map[string]string{"name": "host-1"}), "name in "+stateFile) {
		t.Error("what is looked for is not found: this shows nothing")
	}
}

// filesWith says which of the secrets are in which files.
func filesWith(t *testing.T, dir string, secrets map[string]string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(name)
		for what, s := range secrets {
			if bytes.Contains(b, []byte(s)) {
				found = append(found, what+" in "+filepath.Base(name))
			}
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return found
}
