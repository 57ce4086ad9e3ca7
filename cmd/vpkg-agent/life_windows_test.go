package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/agent/agenttest"
	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/internal/pe"
)

// These tests do what Windows Installer does, in its order, with the programs of
// the folder that VPKG_TEST_PROGRAMS names: vpkg-hook.exe and vpkg-agent.exe.

const (
	product25   = "25.2.20-10"
	testCode    = "1c0dec0dec0de"
	anotherCode = "2c0dec0dec0de"
	registryKey = `Software\vpkg\illumio-ven`
)

var serviceNames = []string{"venAgentMgrSvc", "venPlatformHandlerSvc", "venVtapServerSvc", "venAgentMonitorSvc"}

func windowsConfig(version string) hooks.Config {
	c := hooks.Config{
		Format: 1, Name: "illumio-ven", Version: version, Windows: true,
		Program: "/Program Files/Illumio", Data: "/ProgramData/Illumio", Log: "/Windows/Temp/illumio.log", EnvPrefix: "VEN_",
		Folders: []hooks.Folder{
			{Path: "/ProgramData/Illumio", Mode: 0o750},
			{Path: "/ProgramData/Illumio/etc", Mode: 0o750},
			{Path: "/ProgramData/Illumio/log", Mode: 0o750},
		},
	}
	for _, name := range serviceNames {
		c.Units = append(c.Units, hooks.Unit{Name: name, Enable: true})
		name = strings.TrimSuffix(name, "Svc")
		c.Components = append(c.Components, hooks.Component{Name: name, Program: "bin/vpkg-agent.exe", Args: []string{"component", name}})
	}
	return c
}

// A machine is this one, with folders that the administrator has chosen.
type machine struct {
	t                   *testing.T
	install, data, temp string
	state, log          string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	programs := os.Getenv("VPKG_TEST_PROGRAMS")
	if programs == "" {
		const why = "VPKG_TEST_PROGRAMS names no folder with vpkg-hook.exe and vpkg-agent.exe"
		if os.Getenv("VPKG_REQUIRE_INSTALL") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	// Not t.TempDir: Wine 8 cannot remove a folder as it does.
	dir, err := os.MkdirTemp("", "vpkg test ") //nolint:usetesting // as said
	if err != nil {
		t.Fatal(err)
	}
	all := os.Getenv("ProgramData")
	m := &machine{
		t: t, install: filepath.Join(dir, "Program Files", "Illumio"), data: filepath.Join(dir, "Data", "Illumio"), temp: dir,
		state: filepath.Join(all, "vpkg", "illumio-ven"), log: filepath.Join(os.Getenv("SystemRoot"), "Temp", "illumio.log"),
	}
	if err := os.Remove(m.log); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	m.unpack(product25, programs)
	registry.DeleteKey(registry.LOCAL_MACHINE, registryKey) //nolint:errcheck // of a test that was killed
	key, _, err := registry.CreateKey(registry.LOCAL_MACHINE, registryKey, registry.WRITE)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	if err := key.SetStringValue("DataFolder", m.data+`\`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registry.DeleteKey(registry.LOCAL_MACHINE, registryKey) }) //nolint:errcheck // the next test makes it anew
	return m
}

// unpack lays down the payload, and the program of the custom actions elsewhere.
func (m *machine) unpack(version, programs string) {
	m.t.Helper()
	b, err := windowsConfig(version).Marshal()
	if err != nil {
		m.t.Fatal(err)
	}
	hook := m.read(filepath.Join(programs, "vpkg-hook.exe"))
	m.write(filepath.Join(m.install, "bin", "vpkg-agent.exe"), m.read(filepath.Join(programs, "vpkg-agent.exe")))
	m.write(filepath.Join(m.install, "bin", "vpkg-hook.exe"), hook)
	m.write(filepath.Join(m.install, "illumio-ven-ctl.exe"), hook)
	m.write(filepath.Join(m.install, "etc", "hook.json"), b)
	m.unpackAction(version, programs)
}

// unpackAction lays down the program of a version's custom actions, with its
// configuration in it.
func (m *machine) unpackAction(version, programs string) {
	m.t.Helper()
	b, err := windowsConfig(version).Marshal()
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(m.action(version), stamped(m.t, m.read(filepath.Join(programs, "vpkg-hook.exe")), b))
}

func stamped(t *testing.T, program, config []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := pe.Stamp(bytes.NewReader(program), int64(len(program)), &b, pe.Resources{Data: config}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (m *machine) action(version string) string {
	return filepath.Join(m.temp, "MSI"+version+".tmp.exe")
}

func (m *machine) read(name string) []byte {
	m.t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		m.t.Fatal(err)
	}
	return b
}

func (m *machine) write(name string, b []byte) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o755); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) isThere(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// run gives a program's exit status and what it says.
func (m *machine) run(program string, args ...string) (status int, out string) {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), program, args...)
	b, err := cmd.CombinedOutput()
	for i := 0; errors.Is(err, windows.ERROR_INTERNAL_ERROR) && i < 5; i++ { // of Wine 8, which now and then starts no process
		cmd = exec.CommandContext(m.t.Context(), program, args...)
		b, err = cmd.CombinedOutput()
	}
	if err != nil && cmd.ProcessState == nil {
		m.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), strings.ReplaceAll(string(b), "\r\n", "\n")
}

// act runs a custom action as the package does: PHASE and the properties that are
// set.
func (m *machine) act(want int, version, phase string, set ...string) string {
	m.t.Helper()
	args := []string{phase, "--format", "msi", "--", "INSTALLFOLDER=" + m.install + `\.`, "DATAFOLDER=" + m.data + `\.`}
	for _, name := range []string{"Installed", "REINSTALL", "OLDVERSIONFOUND", "REMOVE", "UPGRADINGPRODUCTCODE", "REMOVEDATA"} {
		if !slices.ContainsFunc(set, func(s string) bool { return strings.HasPrefix(s, name+"=") }) {
			args = append(args, name+"=")
		}
	}
	status, out := m.run(m.action(version), append(args, set...)...)
	if status != want {
		m.t.Errorf("%s %q ends with %d, want %d, and says %s", phase, set, status, want, out)
	}
	return out
}

// ctl runs the control program.
func (m *machine) ctl(want int, args ...string) string {
	m.t.Helper()
	status, out := m.run(filepath.Join(m.install, "illumio-ven-ctl.exe"), args...)
	if status != want {
		m.t.Errorf("illumio-ven-ctl %q ends with %d, want %d, and says %s", args, status, want, out)
	}
	return out
}

func (m *machine) says(what, got, want string) {
	m.t.Helper()
	if !strings.Contains(got, want) {
		m.t.Errorf("%s says %q, want %q in it", what, got, want)
	}
}

// makeServices is what InstallServices does.
func (m *machine) makeServices() (remove func()) {
	m.t.Helper()
	scm, err := mgr.Connect()
	if err != nil {
		m.t.Fatal(err)
	}
	var made []*mgr.Service
	for _, name := range serviceNames {
		s, err := scm.CreateService(name, filepath.Join(m.install, "bin", "vpkg-agent.exe"), mgr.Config{StartType: mgr.StartAutomatic}, "component", strings.TrimSuffix(name, "Svc"))
		if err != nil {
			m.t.Fatal(err)
		}
		made = append(made, s)
	}
	remove = sync.OnceFunc(func() {
		for _, s := range made {
			s.Control(svc.Stop) //nolint:errcheck // it may have stopped
			if err := s.Delete(); err != nil {
				m.t.Error(err)
			}
			s.Close()
		}
		scm.Disconnect() //nolint:errcheck // there is nothing to lose
	})
	m.t.Cleanup(remove)
	return remove
}

// noCode looks for the codes and tokens in everything that the product has written.
func (m *machine) noCode(secrets ...string) {
	m.t.Helper()
	for _, dir := range []string{m.data, m.state, m.log} {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Base(name) == "agent_token" {
				return err
			}
			b, err := os.ReadFile(name)
			for _, s := range secrets {
				if bytes.Contains(b, []byte(s)) {
					m.t.Errorf("%s has a secret in it", name)
				}
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			m.t.Error(err)
		}
	}
}

// server is one that has a policy to be enforced, and whose goodbyes hang until the
// test ends.
func (m *machine) server() (server *agenttest.Server, addr, ca string) {
	m.t.Helper()
	authority, err := agenttest.NewAuthority("vpkg test authority")
	if err != nil {
		m.t.Fatal(err)
	}
	now := time.Now()
	cert, err := authority.Certificate(now.Add(-time.Hour), now.Add(time.Hour), "127.0.0.1")
	if err != nil {
		m.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		m.t.Fatal(err)
	}
	policy := &agent.Policy{Version: "7", Mode: agent.ModeFull, Format: agent.FormatNftables, Nftables: "table inet ILO-FILTER {}\n"}
	server = &agenttest.Server{
		HeartbeatSeconds: 1,
		Policy:           func() (*agent.Policy, error) { return policy, nil },
		Before: func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/goodbye") {
				<-r.Context().Done() // until the agent gives up
			}
			return false
		},
	}
	server.AddCode(testCode, 1)
	server.AddCode(anotherCode, 1)
	agenttest.ServeUntilEnd(m.t, server, l, cert)
	ca = filepath.Join(m.temp, "ca.pem")
	m.write(ca, authority.PEM)
	return server, l.Addr().String(), ca
}

func (m *machine) await(what string, is func() bool) {
	m.t.Helper()
	for range 600 {
		if is() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	m.t.Fatalf("waited a minute: no %s; the log is %s", what, m.read(m.log))
}

// The life of a product: installed, activated, told of a policy, removed.
func TestWindowsLife(t *testing.T) {
	m := newMachine(t)
	server, addr, ca := m.server()

	m.act(0, product25, "pre-install")
	if !m.isThere(filepath.Join(m.data, "etc")) {
		t.Error("pre-install makes no data folder")
	}
	removeServices := m.makeServices()
	m.act(0, product25, "post-install")
	m.ctl(0, "start")
	m.says("status", m.ctl(0, "status"), "Agent State: unpaired\n")
	for _, name := range serviceNames {
		m.says("status", m.ctl(0, "status"), " - "+name+" running")
	}

	// The custom action knows no authority. It fails, and installs all the same.
	m.says("activation without a server", m.act(0, product25, "activate", "ACTIVATION_CODE="+testCode), "MANAGEMENT_SERVER is not set")
	m.says("activation without a code", m.act(0, product25, "activate", "MANAGEMENT_SERVER="+addr), "neither ACTIVATION_FILE nor ACTIVATION_CODE")
	m.says("activation with two words", m.act(0, product25, "activate", "MANAGEMENT_SERVER="+addr, "ACTIVATION_CODE="+testCode+" x"), "is not one word")
	m.act(0, product25, "activate", "MANAGEMENT_SERVER=", "ACTIVATION_CODE=", "ACTIVATION_FILE=")
	file := filepath.Join(m.temp, "code.txt")
	m.write(file, []byte("\ufeff"+testCode+"\r\n"))
	m.says("activation", m.act(0, product25, "activate", "MANAGEMENT_SERVER="+addr, "ACTIVATION_FILE="+file, "PROFILE_ID=x"), "profile")
	m.says("activation", m.act(0, product25, "activate", "MANAGEMENT_SERVER="+addr, "ACTIVATION_FILE="+file, "PROFILE_ID=2"), "whom this host does not trust")
	if got := m.read(filepath.Join(m.data, "etc", "agent_activation.cfg")); !strings.Contains(string(got), "profile_id: 2\n") {
		t.Errorf("the number of the profile is not in\n%s", got)
	}
	m.says("agent-status", m.ctl(1, "agent-status"), `Pairing Status
Pairing Configuration exists ......SUCCESS
VEN Manager Daemon running ......SUCCESS
Master Configuration retrieval ......FAILED
VEN Configuration retrieval ......PENDING
VEN is not paired with Illumio
`)
	if got := m.read(file); !strings.Contains(string(got), testCode) {
		t.Errorf("the administrator's file is %q now", got)
	}
	m.act(0, product25, "post-install", "COMMIT=1")

	// The code waits for the service, in a private file.
	m.says("activate", m.ctl(0, "activate", "-management-server", addr, "-ca-file", ca, "-enforcement_mode", "full"), "SUCCESSFULLY paired with "+addr)
	m.await("heartbeat that tells of the policy", func() bool {
		calls := server.Calls("/heartbeat")
		return len(calls) > 0 && strings.Contains(string(calls[len(calls)-1].Body), "does not drive the packet filter of Windows")
	})
	last := server.Calls("/heartbeat")
	m.says("the heartbeat", string(last[len(last)-1].Body), `"state":"degraded"`)
	out := m.ctl(0, "status")
	m.says("status", out, "Agent State: idle\nPolicies are not put in force: ")
	m.says("status as JSON", m.ctl(0, "status", "--json"), `"supervisor": "services"`)
	m.says("the events", string(m.read(filepath.Join(m.data, "log", "event.log"))), `platform.error policy "7" is not in force`)
	m.says("agent-status", m.ctl(1, "agent-status"), "Master Configuration retrieval ......SUCCESS\nVEN Configuration retrieval ......PENDING\nVEN is not paired")
	m.says("apply", m.ctlHook(1, "platform", "apply"), `policy "7" is not in force`)
	m.says("suspend", m.ctl(1, "suspend"), "does not drive the packet filter of Windows")
	m.says("connectivity-test", m.ctl(0, "connectivity-test"), addr+" answers\n")
	m.says("version", m.ctl(0, "version"), product25+"\n")
	m.says("check-env", m.ctl(0, "check-env"), "ok       services\n")
	m.ctl(2, "version", "now")
	m.ctl(2)

	report := filepath.Join(filepath.Dir(m.log), "illumio-ven-report.tgz")
	m.says("the report", m.ctl(0, "gen-supportreport"), report)
	if !m.isThere(report) {
		t.Error("there is no report")
	}

	// A stop does not wait for a server that does not answer: its goodbye ends by the
	// agent's giving up, and is seen as cancelled.
	m.ctl(0, "stop")
	m.await("goodbye", func() bool { return len(server.Calls("/goodbye")) > 0 })
	m.says("status", m.ctl(3, "status"), " - venAgentMgrSvc stopped")
	m.ctl(0, "start")
	m.says("deactivate", m.ctl(0, "deactivate"), "has been deactivated")
	out = m.ctl(0, "activate", "-management-server="+addr, "-ca-file", ca, "-activation-code", anotherCode)
	m.says("activate", out, "SUCCESSFULLY paired")
	m.says("activate", out, "others can read a code")
	m.says("the log", string(m.read(m.log)), `whom this host does not trust`)
	m.noCode(append(server.Tokens(), testCode, anotherCode)...)
	if m.isThere(filepath.Join(m.state, "activation_code")) {
		t.Error("the activation code is still there")
	}

	// The removal, with nothing left.
	m.act(0, product25, "pre-remove", "Installed=00:00:00", "REMOVE=ALL", "REMOVEDATA=1")
	if out := m.ctl(3, "status"); strings.Contains(out, "running") {
		t.Errorf("after pre-remove %s", out)
	}
	removeServices()
	m.act(0, product25, "post-remove", "Installed=00:00:00", "REMOVE=ALL", "REMOVEDATA=1")
	if !m.isThere(filepath.Join(m.data, "etc", "agent_id.cfg")) {
		t.Error("the data is gone before the removal is committed")
	}
	m.act(0, product25, "post-remove", "Installed=00:00:00", "REMOVE=ALL", "REMOVEDATA=1", "COMMIT=1")
	for _, dir := range []string{m.data, m.state} {
		if m.isThere(dir) {
			t.Errorf("%s is still there", dir)
		}
	}
}

// ctlHook runs the hook of the payload.
func (m *machine) ctlHook(want int, args ...string) string {
	m.t.Helper()
	status, out := m.run(filepath.Join(m.install, "bin", "vpkg-hook.exe"), args...)
	if status != want {
		m.t.Errorf("vpkg-hook %q ends with %d, want %d, and says %s", args, status, want, out)
	}
	return out
}

// What is begun is taken back, step by step, and what the data folder has stays
// when the product alone goes.
func TestWindowsRollback(t *testing.T) {
	m := newMachine(t)
	programs := os.Getenv("VPKG_TEST_PROGRAMS")
	m.act(0, product25, "pre-install")
	m.act(0, product25, "post-install", "ROLLBACK=1")
	m.act(0, product25, "pre-install", "ROLLBACK=1")
	if m.isThere(m.data) || m.isThere(filepath.Join(m.state, "journal.json")) {
		t.Error("something is still there after a rollback")
	}

	m.act(0, product25, "pre-install")
	removeServices := m.makeServices()
	m.act(0, product25, "post-install")
	m.act(0, product25, "post-install", "COMMIT=1")
	m.ctl(0, "start")
	m.write(filepath.Join(m.data, "log", "kept"), []byte("kept"))
	m.act(0, product25, "pre-remove", "REMOVE=ALL")
	m.says("status", m.ctl(3, "status"), "venAgentMgrSvc stopped")
	m.act(0, product25, "pre-remove", "REMOVE=ALL", "ROLLBACK=1")
	m.says("status", m.ctl(0, "status"), "venAgentMgrSvc running")

	// An activation is taken back, also one that the service still tries, but not that
	// of an agent which had a server before.
	_, addr, ca := m.server()
	activate := []string{"MANAGEMENT_SERVER=" + addr, "ACTIVATION_CODE=" + testCode}
	m.act(0, product25, "activate", activate...)
	waiting := filepath.Join(m.data, "etc", "activation_code")
	if !m.isThere(waiting) {
		t.Error("the service has no code to try")
	}
	m.act(0, product25, "activate", "ROLLBACK=1")
	if m.isThere(waiting) || m.isThere(filepath.Join(m.data, "etc", "agent_activation.cfg")) {
		t.Error("the activation is not taken back")
	}
	m.says("activate", m.ctl(0, "activate", "-management-server", addr, "-ca-file", ca, "-activation-code", testCode), "SUCCESSFULLY paired")
	m.act(0, product25, "activate", activate...)
	m.act(0, product25, "activate", "ROLLBACK=1")
	if !m.isThere(filepath.Join(m.data, "etc", "agent_id.cfg")) {
		t.Error("an agent that was activated before is no longer")
	}

	const earlier = "25.2.20-9"
	m.unpackAction(earlier, programs)
	m.says("an earlier build", m.act(1, earlier, "pre-install", "OLDVERSIONFOUND={1}"),
		"vpkg-hook: illumio-ven 25.2.20-9 is older than 25.2.20-10, which is installed: remove that first\n")
	m.unpackAction("25.2.20-11", programs)
	m.act(0, "25.2.20-11", "pre-install", "OLDVERSIONFOUND={1}")
	m.act(0, "25.2.20-11", "pre-install", "OLDVERSIONFOUND={1}", "ROLLBACK=1")
	m.says("the state", string(m.read(filepath.Join(m.state, "installed.json"))), product25)

	m.act(0, product25, "pre-remove", "REMOVE=ALL")
	removeServices()
	m.act(0, product25, "post-remove", "REMOVE=ALL")
	m.act(0, product25, "post-remove", "REMOVE=ALL", "COMMIT=1")
	if !m.isThere(filepath.Join(m.data, "log", "kept")) {
		t.Error("the data is gone")
	}
}

// unpair has Windows Installer remove the product. Here there is none that it
// knows, which is told; the program itself is back in its place then.
func TestWindowsUnpair(t *testing.T) {
	m := newMachine(t)
	m.says("unpair", m.ctl(1, "unpair", "open", "noreport"), "the registry does not say which product")
	m.ctl(2, "unpair")
	m.ctl(2, "unpair", "ajar")
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, registryKey, registry.WRITE)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	if err := key.SetStringValue("ProductCode", "{00000000-1111-2222-3333-444444444444}"); err != nil {
		t.Fatal(err)
	}
	m.act(0, product25, "pre-install")
	m.makeServices()
	out := m.ctl(1, "unpair", "unmanaged", "noreport")
	m.says("unpair", out, " - Unpair Stopping the services:    ...done.\n")
	m.says("unpair", out, "(1605)")
	if !m.isThere(filepath.Join(m.install, "illumio-ven-ctl.exe")) {
		t.Error("the control program is gone")
	}
}

// A store on Windows: what others may not read has an access list of its own, and
// one process at a time changes the files.
func TestWindowsStore(t *testing.T) {
	dir, err := os.MkdirTemp("", "vpkg") //nolint:usetesting // as in newMachine
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	s := agent.Store{Root: root, UID: -1, GID: -1}
	for range 2 {
		if err := s.WriteCode(testCode); err != nil {
			t.Fatal(err)
		}
	}
	if code, err := s.Code(); err != nil || code != testCode {
		t.Errorf("the code is %q, %v", code, err)
	}
	sd, err := windows.GetNamedSecurityInfo(filepath.Join(dir, "etc", "activation_code"), windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		t.Fatal(err)
	}
	if list := sd.String(); strings.Contains(list, ";WD)") || strings.Contains(list, ";BU)") {
		t.Errorf("the access list of the code is %s", list)
	}
	unlock, err := s.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	free := make(chan error)
	go func() {
		second, err := s.Lock(t.Context())
		if err == nil {
			second()
		}
		free <- err
	}()
	select {
	case err := <-free:
		t.Fatalf("a lock that is held was given a second time: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	unlock()
	if err := <-free; err != nil {
		t.Error(err)
	}
	if err := s.EraseCode(); err != nil {
		t.Error(err)
	}
	if found, err := s.Forget(); err != nil || found {
		t.Errorf("forgetting nothing: %t, %v", found, err)
	}
}

func TestWindowsHost(t *testing.T) {
	if h := thisHost(); !strings.HasPrefix(h.OSID, "win-x86_64-") || h.Name == "" || h.Formats == nil {
		t.Errorf("this host is %+v", h)
	}
	for _, args := range []string{"", "nonsense", "component", "monitor"} {
		var stderr strings.Builder
		if status := run(t.Context(), append([]string{`C:\x\vpkg-agent.exe`}, strings.Fields(args)...), console{strings.NewReader(""), &stderr, &stderr}); status != 2 {
			t.Errorf("%q: status %d, %s", args, status, fmt.Sprint(&stderr))
		}
	}
}
