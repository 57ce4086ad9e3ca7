package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/programs"
	"github.com/vpkg/vpkg/internal/testbed"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/manifest"
	"github.com/vpkg/vpkg/platform"
	"github.com/vpkg/vpkg/templates/ven"
)

// These tests lay the built-in product down in a box, without a package, and
// start and stop it as people and systemd do.

func TestMain(m *testing.M) {
	testbed.Main(m, testbed.Setup{Suites: []testbed.Suite{testbed.Trixie}, Before: buildPrograms})
}

// buildPrograms compiles what the payload has, as releases do.
func buildPrograms(ctx context.Context, dir string) error {
	for _, name := range []string{"vpkg-agent", "vpkg-hook"} {
		cmd := exec.CommandContext(ctx, "go", append(programs.BuildArgs(), "-o", filepath.Join(dir, name), "github.com/vpkg/vpkg/cmd/"+name)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// file is a packaging.Body.
type file string

func (f file) Open() (io.ReadCloser, error) { return os.Open(string(f)) }

func layout(t *testing.T) packaging.Layout {
	t.Helper()
	m, err := manifest.OpenFS(ven.Files, ven.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	// What is read is an input of the test, whose result go caches; what it has
	// compiled is not.
	if _, err := os.ReadDir("../vpkg-hook"); err != nil {
		t.Fatal(err)
	}
	r := manifest.Resolver{Manifest: m, Programs: func(_ context.Context, name, _, _ string) (manifest.Program, error) {
		path := filepath.Join(testbed.Dir(t), name)
		b, err := os.ReadFile(path)
		return manifest.Program{Body: file(path), Size: int64(len(b)), SHA256: sha256.Sum256(b)}, err
	}}
	defer r.Close()
	targets, err := manifest.Select([]string{"debian13"}, []string{"amd64"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Resolve(t.Context(), targets[0])
	if err != nil {
		t.Fatal(err)
	}
	return p.Layout
}

// A host is a box with the product in it.
type host struct {
	*testbed.Box
	t *testing.T
}

func newHost(t *testing.T) host {
	t.Helper()
	b := testbed.New(t, testbed.Trixie)
	owners := ""
	for _, e := range layout(t) {
		path := b.Path(e.Path)
		switch {
		case e.Mode.IsDir():
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		case e.Target != "":
			if err := os.Symlink(e.Target, path); err != nil {
				t.Fatal(err)
			}
		default:
			r, err := e.Body.Open()
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(r)
			r.Close()
			if err != nil {
				t.Fatal(err)
			}
			b.Write(t, e.Path, string(text))
		}
		if e.Target == "" {
			owners += fmt.Sprintf("chown %s:%s %s\nchmod %04o %[3]s\n", e.OwnerName(), e.GroupName(), e.Path, e.Mode.Perm())
		}
	}
	h := host{b, t}
	if _, err := os.Stat(b.Path("/usr/sbin/useradd")); err != nil {
		t.Fatal(err)
	}
	b.Write(t, "/root/setup", "set -e\ngroupadd -r ilo-ven\nuseradd -r -g ilo-ven -d /opt/illumio_ven_data -s /usr/sbin/nologin ilo-ven\n"+
		"install -d -o ilo-ven -g ilo-ven -m 0750 /opt/illumio_ven_data /opt/illumio_ven_data/etc /opt/illumio_ven_data/log /opt/illumio_ven_data/tmp\n"+owners)
	return h
}

// ctl calls the control script and checks its exit status.
func (h host) ctl(status int, args ...string) string {
	h.t.Helper()
	r := h.Run(h.t, append([]string{"/opt/illumio_ven/illumio-ven-ctl"}, args...)...)
	if r.Code != status {
		h.t.Fatalf("want exit status %d of\n%s", status, r)
	}
	return r.Stdout
}

func (h host) status(status int) platform.Status {
	h.t.Helper()
	var s platform.Status
	if out := h.ctl(status, "status", "--json"); json.Unmarshal([]byte(out), &s) != nil {
		h.t.Fatalf("status is %q", out)
	}
	return s
}

// users are the users of the product's processes, by component.
func (h host) users() map[string]string {
	h.t.Helper()
	users := map[string]string{}
	for _, s := range h.status(0).Components {
		out := h.Run(h.t, "ps", "-o", "user=,args=", "-p", fmt.Sprint(s.PID)).OK(h.t)
		user, args, _ := strings.Cut(strings.TrimSpace(out), " ")
		if !strings.Contains(args, s.Name) && s.Name != monitorName {
			h.t.Errorf("process %d of %s is %q", s.PID, s.Name, args)
		}
		users[s.Name] = user
	}
	return users
}

var wantUsers = map[string]string{
	"venAgentMgr": "ilo-ven", "venPlatformHandler": "root", "venVtapServer": "ilo-ven", "venAgentMonitor": "root",
}

const started = `Starting illumio-ven:
 - Environment Setting up illumio-ven Environment:    ...done.
 - venAgentMgr Starting venAgentMgr:    ...done.
 - venPlatformHandler Starting venPlatformHandler:    ...done.
 - venVtapServer Starting venVtapServer:    ...done.
 - venAgentMonitor Starting venAgentMonitor:    ...done.
`

const stopped = `Stopping illumio-ven:
 - venAgentMonitor Stopping venAgentMonitor:    ...done.
 - venVtapServer Stopping venVtapServer:    ...done.
 - venPlatformHandler Stopping venPlatformHandler:    ...done.
 - venAgentMgr Stopping venAgentMgr:    ...done.
`

func (h host) noProcess() {
	h.t.Helper()
	if out := h.Sh(h.t, "ps -eo stat=,args= | grep '[o]pt/illumio_ven' | grep -v ^Z"); out.Code == 0 {
		h.t.Errorf("left behind: %s", out.Stdout)
	}
}

func (h host) await(what string, ok func() bool) {
	h.t.Helper()
	for range 1200 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	h.t.Fatalf("%s: not within a minute", what)
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s is\n%v\nwant\n%v", what, got, want)
	}
}

// A container without systemd: the monitor supervises.
func TestLifeWithoutSystemd(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Nest(t, testbed.Trixie, "/image")
	h.Run(t, "sh", "/root/setup").OK(t)
	equal(t, "version", h.ctl(0, "version"), "25.2.20-10\n")
	h.status(3)
	equal(t, "start", h.ctl(0, "start"), started)
	equal(t, "second start", h.ctl(0, "start"), "illumio-ven is already started\n")
	equal(t, "users", h.users(), wantUsers)
	pairing := h.Run(t, "/opt/illumio_ven/bin/agent_status.sh")
	pairing.Fails(t)
	equal(t, "pairing status", pairing.Stdout, `Pairing Status
Pairing Configuration exists ......FAILED
VEN Manager Daemon running ......SUCCESS
Master Configuration retrieval ......FAILED
VEN Configuration retrieval ......PENDING
VEN is not paired with Illumio
`)

	before := h.status(0)
	h.Run(t, "kill", "-9", fmt.Sprint(before.Components[0].PID)).OK(t)
	h.await("venAgentMgr is back", func() bool {
		c := h.Run(t, "/opt/illumio_ven/illumio-ven-ctl", "status", "--json")
		return c.Code == 0 && !strings.Contains(c.Stdout, fmt.Sprintf(`"pid": %d,`, before.Components[0].PID))
	})
	equal(t, "restarts", h.status(0).Components[0].Restarts, 1)
	equal(t, "restart", h.ctl(0, "restart"), stopped+started)

	// In a chroot nothing is started, and what runs outside is not stopped.
	chroot := h.Sh(t, "cp -a /opt/illumio_ven* /image/opt && mount --bind /run /image/run && chroot /image sh -c 'mount -t proc proc /proc; /opt/illumio_ven/bin/init_Platform start; /opt/illumio_ven/bin/init_Platform stop'")
	equal(t, "in a chroot", chroot.OK(t), "illumio-ven: this is a chroot: nothing to start\nillumio-ven: this is a chroot: nothing to stop\n")
	h.status(0)

	equal(t, "stop", h.ctl(0, "stop"), stopped)
	h.noProcess()
	h.status(3)
	log := h.Read(t, "/opt/illumio_ven_data/log/agentmgr.log")
	equal(t, "starts in agentmgr.log", strings.Count(log, "msg=started"), 3)
	equal(t, "logs", h.Sh(t, "cd /opt/illumio_ven_data/log && stat -c '%n %U %a' *").OK(t), `agentmgr.log ilo-ven 640
agentmon.log root 640
platform.log root 640
vtap.log ilo-ven 640
`)
}

func TestLifeWithSystemd(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Boot(t)
	h.Run(t, "sh", "/root/setup").OK(t)
	h.Run(t, "systemctl", "enable", "illumio-ven.service").OK(t)
	h.status(3)
	begun := time.Now()
	equal(t, "start", h.ctl(0, "start"), strings.Replace(started, " - Environment Setting up illumio-ven Environment:    ...done.\n", "", 1))
	t.Logf("start took %v", time.Since(begun))
	equal(t, "users", h.users(), wantUsers)
	equal(t, "second start", h.ctl(0, "start"), "illumio-ven is already started\n")
	equal(t, "unit", h.Run(t, "systemctl", "is-active", "illumioven.service").OK(t), "active\n") // by its other name
	if out := h.Run(t, "journalctl", "-u", "illumio-ven", "-o", "cat"); !strings.Contains(out.Stdout, "Setting up illumio-ven Environment:    ...done.") {
		t.Errorf("journal of the unit: %s", out)
	}

	// A component that was killed comes back, also after a polite end.
	for _, signal := range []string{"-KILL", "-TERM"} {
		pid := h.status(0).Components[1].PID
		h.Run(t, "kill", signal, fmt.Sprint(pid)).OK(t)
		h.await("venPlatformHandler is back", func() bool {
			c := h.Run(t, "/opt/illumio_ven/illumio-ven-ctl", "status", "--json")
			return c.Code == 0 && !strings.Contains(c.Stdout, fmt.Sprintf(`"pid": %d,`, pid))
		})
	}

	// What systemd starts for others, such as cloud-init, has an INVOCATION_ID too.
	run := []string{"systemd-run", "--quiet", "--wait", "--collect", "--pipe", "/opt/illumio_ven/bin/init_Platform"}
	equal(t, "stop in another unit", h.Run(t, append(run, "stop")...).OK(t), stopped)
	h.noProcess()
	h.status(3)
	h.Run(t, append(run, "start")...).OK(t)
	equal(t, "unit of venAgentMgr", strings.TrimSpace(h.Sh(t, "ps -o unit= -p $(systemctl show -P MainPID venAgentMgr)").OK(t)), "venAgentMgr.service")

	before := h.status(0)
	h.Run(t, "systemctl", "restart", "illumio-ven").OK(t)
	after := h.awaitRunning()
	for i := range after.Components {
		if after.Components[i].PID == before.Components[i].PID {
			t.Errorf("%s was not restarted", after.Components[i].Name)
		}
	}

	h.Shutdown(t)
	h.Boot(t)
	h.awaitRunning()
	h.Run(t, "systemctl", "stop", "illumioven").OK(t)
	h.noProcess()
	if failed := h.Run(t, "systemctl", "--failed", "--plain", "--no-legend").OK(t); failed != "" {
		t.Errorf("failed units: %s", failed)
	}
}

func (h host) awaitRunning() platform.Status {
	h.t.Helper()
	h.await("all components are running", func() bool {
		return h.Run(h.t, "/opt/illumio_ven/illumio-ven-ctl", "status").Code == 0
	})
	return h.status(0)
}

// What cannot start is told, and nothing is left half started.
func TestLifeFails(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Boot(t)
	h.Run(t, "sh", "/root/setup").OK(t)

	h.Run(t, "mv", "/opt/illumio_ven_data", "/opt/elsewhere").OK(t)
	h.Write(t, "/opt/illumio_ven_data", "no folder")
	h.ctl(1, "start")
	h.noProcess()
	h.Run(t, "rm", "/opt/illumio_ven_data").OK(t)

	h.Sh(t, "install -d /opt/illumio_ven_data/log/agentmgr.log").OK(t) // venAgentMgr cannot write its log
	r := h.Run(t, "/opt/illumio_ven/illumio-ven-ctl", "start")
	equal(t, "exit status", r.Code, 1)
	if !strings.Contains(r.Stdout, " - venAgentMgr Starting venAgentMgr:    ...FAILED\n") {
		t.Errorf("start without a log: %s", r)
	}
	h.Run(t, "/opt/illumio_ven/bin/agent_status.sh").Fails(t)
	h.Run(t, "rmdir", "/opt/illumio_ven_data/log/agentmgr.log").OK(t)
	h.awaitRunning() // systemd goes on trying
	h.ctl(0, "stop")
	h.noProcess()
}

// The administrator's own account takes the place of the package's in an
// installation that is there already, logs and all.
func TestLifeOwnAccount(t *testing.T) {
	for _, booted := range []bool{false, true} {
		t.Run(fmt.Sprintf("systemd %t", booted), func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			if booted {
				h.Boot(t)
			}
			h.Run(t, "sh", "/root/setup").OK(t)
			hook := []string{"/opt/illumio_ven/bin/vpkg-hook", "post-install", "--format", "rpm", "--"}
			h.Run(t, append(hook, "1")...).OK(t)
			if !booted { // where an installation starts nothing
				h.ctl(0, "start")
			}
			equal(t, "users", h.users(), wantUsers)

			h.Run(t, "useradd", "-r", "-U", "agent").OK(t)
			h.Env(t, []string{"VEN_NONPRIV_USER=agent"}, append(hook, "2")...).OK(t)
			h.awaitRunning()
			want := maps.Clone(wantUsers)
			want["venAgentMgr"], want["venVtapServer"] = "agent", "agent"
			equal(t, "users", h.users(), want)
			equal(t, "logs", h.Sh(t, "cd /opt/illumio_ven_data/log && stat -c '%n %U' agentmgr.log*").OK(t), "agentmgr.log agent\nagentmgr.log.1 ilo-ven\n")
			h.ctl(0, "stop")
			h.noProcess()
		})
	}
}

// The agent stays small, and free of what a component of this product needs not.
func TestSize(t *testing.T) {
	const limit = 8 << 20
	info, err := os.Stat(filepath.Join(testbed.Dir(t), "vpkg-agent"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= limit {
		t.Errorf("vpkg-agent has %d bytes, want less than %d", info.Size(), limit)
	}
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	foreign := slices.DeleteFunc(strings.Fields(string(out)), func(p string) bool {
		std := !strings.Contains(strings.Split(p, "/")[0], ".")
		return std || regexp.MustCompile(`^(github\.com/vpkg/vpkg/(agent|hooks(/firewall|/tinyjson)?|platform|cmd/vpkg-agent)|golang\.org/x/sys/unix)$`).MatchString(p)
	})
	if len(foreign) > 0 {
		t.Errorf("vpkg-agent depends on %q", foreign)
	}
}
