//go:build linux

package wine

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/testbed"
)

// Names of the built-in product on Windows.
const (
	product     = "Illumio VEN"
	program     = `C:\Program Files\Illumio`
	data        = `C:\ProgramData\Illumio`
	stateFolder = `C:\ProgramData\vpkg\illumio-ven`
	stateKey    = `Software\vpkg\illumio-ven`
	logFile     = `C:\windows\temp\illumio.log`
	serviceKeys = `System\CurrentControlSet\Services\`
)

// components are the product's; each is a service, under this name with Svc behind
// it.
var components = []string{"venAgentMgr", "venPlatformHandler", "venVtapServer", "venAgentMonitor"}

func serviceNames() []string {
	var names []string
	for _, c := range components {
		names = append(names, c+"Svc")
	}
	return names
}

// built is the package of that version of the built-in product.
func (h *host) built(version string) string { return h.pkg("illumio-ven", version) }

// pkg is the package of that product and version.
func (h *host) pkg(name, version string) string {
	return filepath.Join(h.dir, "packages", name+"-"+version+".win.x64.msi")
}

// TestInstall is the life of a product: it is installed, removed with its data
// kept, installed again, and removed with its data.
func TestInstall(t *testing.T) {
	h := newHost(t)
	pkg := h.bring(t, h.built(oldVersion))
	h.want(t, 0, "/i", pkg)
	code := h.checkInstalled(t, oldVersion, program, data)
	h.write(t, data+`\etc\mine`, "kept")
	h.write(t, data+`\log\mine.log`, "kept")

	h.want(t, 0, "/x", pkg)
	h.checkRemoved(t, program)
	for _, name := range []string{data + `\etc\mine`, data + `\log\mine.log`} {
		if got := h.read(t, name); got != "kept" {
			t.Errorf("after a removal %s has %q", name, got)
		}
	}
	if got := h.msiexec(t, "/x", code); got != 1605 {
		t.Errorf("removing what is not there: exit code %d, want 1605", got)
	}

	h.want(t, 0, "/i", pkg)
	h.checkInstalled(t, oldVersion, program, data)
	if got := h.read(t, data+`\etc\mine`); got != "kept" {
		t.Errorf("after a second installation the data folder has %q", got)
	}

	h.want(t, 0, "/x", pkg, "REMOVEDATA=1")
	h.checkRemoved(t, program)
	for _, name := range []string{data, stateFolder} {
		if h.exists(t, name) {
			t.Errorf("with REMOVEDATA=1 %s is still there: %q", name, h.list(t, name))
		}
	}
}

// checkInstalled sees to it that the product is there, in that version and in
// those folders, and runs, and gives its product code.
func (h *host) checkInstalled(t *testing.T, version, program, data string) string {
	t.Helper()
	h.checkFiles(t, h.built(version), program)
	if !h.exists(t, program+`\admin`) {
		t.Errorf("%s has no folder admin", program)
	}
	for _, name := range []string{"etc", "log", "tmp"} {
		if !h.exists(t, data+`\`+name) {
			t.Errorf("%s has no folder %s", data, name)
		}
	}
	number, build, _ := strings.Cut(version, "-")
	code := h.checkProgram(t, number, program)
	for name, want := range map[string]string{
		"InstallFolder": program + `\`, "DataFolder": data + `\`, "Version": number, "Build": build, "ProductCode": code,
	} {
		if got := h.values(t, stateKey)[name]; got != want {
			t.Errorf("registry: %s is %q, want %q", name, got, want)
		}
	}
	if got := h.read(t, stateFolder+`\installed.json`); !strings.Contains(got, `"`+version+`"`) {
		t.Errorf("the installed state does not say version %s:\n%s", version, got)
	}
	for _, c := range components {
		h.checkService(t, c, program)
	}
	h.awaitRunning(t)
	return code
}

// checkProgram looks at the entry in the list of installed programs, of which there
// is one, and gives its key: the product code.
func (h *host) checkProgram(t *testing.T, number, program string) string {
	t.Helper()
	found := h.programs(t, product)
	if len(found) != 1 {
		t.Fatalf("%s is in the list of programs %d times: %q", product, len(found), found)
	}
	for code, v := range found {
		for name, want := range map[string]string{
			"DisplayVersion": number, "Publisher": "vpkg", "InstallLocation": program + `\`, "NoModify": "1", "WindowsInstaller": "1",
			"URLInfoAbout": "https://github.com/vpkg/vpkg", "Contact": "vpkg maintainers <maintainers@vpkg.invalid>",
		} {
			if v[name] != want {
				t.Errorf("list of programs: %s is %q, want %q", name, v[name], want)
			}
		}
		return code
	}
	return ""
}

// checkService looks at how a component's service is registered.
func (h *host) checkService(t *testing.T, component, program string) {
	t.Helper()
	v := h.values(t, serviceKeys+component+"Svc")
	line := fmt.Sprintf(`%s\bin\vpkg-agent.exe component %s`, program, component)
	// Windows puts the program in quotation marks, and Wine does not.
	if got := strings.ReplaceAll(v["ImagePath"], `"`, ""); got != line {
		t.Errorf("service %s runs %q, want %q", component, v["ImagePath"], line)
	}
	for name, want := range map[string]string{"Start": "2", "Type": "16", "ErrorControl": "1", "ObjectName": "LocalSystem"} {
		if v[name] != want {
			t.Errorf("service %s: %s is %q, want %q", component, name, v[name], want)
		}
	}
	if !strings.HasPrefix(v["DisplayName"], "Illumio VEN ") || v["Description"] == "" {
		t.Errorf("service %s is called %q, %q", component, v["DisplayName"], v["Description"])
	}
}

// awaitRunning waits until all services run, and gives their processes.
func (h *host) awaitRunning(t *testing.T) map[string]uint32 {
	t.Helper()
	var found map[string]state
	processes := make(map[string]uint32)
	eventually(t, "all services run", func() (any, bool) {
		found = h.services(t, serviceNames()...)
		for name, s := range found {
			processes[name] = s.Process
			if s.State != "running" {
				return found, false
			}
		}
		return nil, true
	})
	return processes
}

// eventually waits until something is so, and says what it saw if it never is.
func eventually(t *testing.T, what string, is func() (saw any, ok bool)) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		saw, ok := is()
		if ok {
			return
		}
		if time.Since(begin) > patience {
			t.Fatalf("not within %v: %s; it is %v", patience, what, saw)
		}
	}
}

// checkRemoved sees to it that nothing is left of the built-in product but its
// data.
func (h *host) checkRemoved(t *testing.T, program string) {
	t.Helper()
	if h.exists(t, program) {
		t.Errorf("%s is still there: %q", program, h.list(t, program))
	}
	if found := h.programs(t, product); len(found) > 0 {
		t.Errorf("the list of programs still has %q", found)
	}
	if v := h.values(t, stateKey); v != nil {
		t.Errorf("registry: there is still %q", v)
	}
	for name, s := range h.services(t, serviceNames()...) {
		if s.State != "" {
			t.Errorf("service %s is still there, %s", name, s.State)
		}
		if v := h.values(t, serviceKeys+name); v != nil {
			t.Errorf("service %s is still in the registry: %q", name, v)
		}
	}
}

// checkFiles compares what is in a program folder with what msiextract takes out of
// the package.
func (h *host) checkFiles(t *testing.T, pkg, program string) {
	t.Helper()
	testbed.Need(t, "msiextract")
	dir := t.TempDir()
	if out, err := exec.Command("msiextract", "-C", dir, pkg).CombinedOutput(); err != nil {
		t.Fatalf("msiextract %s: %v\n%s", pkg, err, out)
	}
	// It leaves the standard folder out that the program's is in.
	top, err := os.ReadDir(dir)
	if err != nil || len(top) != 1 {
		t.Fatalf("msiextract gives %q, %v: want one folder", top, err)
	}
	want := files(t, filepath.Join(dir, top[0].Name()))
	got := files(t, h.file(program))
	for name, b := range want {
		if have, ok := got[name]; !ok {
			t.Errorf("%s is not installed", name)
		} else if have != b {
			t.Errorf("%s differs from the package's", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is installed and not in the package", name)
		}
	}
}

// files are the contents of the files in dir, by path.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		found[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// list names what is in a folder.
func (h *host) list(t *testing.T, name string) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(os.DirFS(h.file(name)), ".", func(p string, _ fs.DirEntry, err error) error {
		found = append(found, p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}
