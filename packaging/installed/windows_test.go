package installed_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"testing"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/installed"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// TestVerifyWindows: a product of Windows, whose record has no owners. The name makes
// it run on Windows too, where modes are not looked at.
func TestVerifyWindows(t *testing.T) {
	const program, data = "/Program Files/Agent", "/ProgramData/Agent"
	product := func(t *testing.T) *host {
		h := &host{t: t, dir: packagingtest.TempDir(t)}
		config, err := hooks.Config{
			Format: 1, Name: "agent", Version: "1.4.0-7", Windows: true, Program: program, Data: data,
			Folders: []hooks.Folder{{Path: data, Mode: 0o700}},
		}.Marshal()
		h.do(err)
		file := func(p, text string) {
			h.write(p, text)
			h.layout = append(h.layout, packaging.Entry{Path: p, Mode: 0o644, Size: int64(len(text)), SHA256: sha256.Sum256([]byte(text))})
		}
		h.layout = packaging.Layout{{Path: program, Mode: fs.ModeDir | 0o755}, {Path: program + "/bin", Mode: fs.ModeDir | 0o755}, {Path: program + "/etc", Mode: fs.ModeDir | 0o755}}
		file(program+"/bin/agent.exe", "program")
		file(program+"/bin/agent.dll", "library")
		file(program+"/etc/hook.json", string(config))
		h.layout.Sort()
		h.do(os.MkdirAll(h.at(data), 0o700))
		b, err := h.layout.MarshalJSON()
		h.do(err)
		h.write(program+"/etc/layout.json", string(b))
		h.write("/var/lib/vpkg/agent/installed.json", `{"format":1,"version":"1.4.0-7","program":"`+program+`"}`)
		h.write("/etc/passwd", fmt.Sprintf("root:x:%d:%d::/:/bin/sh\n", os.Getuid(), os.Getgid()))
		h.write("/etc/group", fmt.Sprintf("root:x:%d:\n", os.Getgid()))
		return h
	}
	for _, tt := range []struct {
		name   string
		tamper func(h *host)
		want   []string
	}{
		{"nothing", func(*host) {}, nil},
		{"content", func(h *host) { h.write(program+"/bin/agent.exe", "PROGRAM") }, []string{"content " + program + "/bin/agent.exe"}},
		{"size", func(h *host) { h.write(program+"/bin/agent.exe", "") }, []string{"content " + program + "/bin/agent.exe"}},
		{"missing", func(h *host) { h.do(os.Remove(h.at(program + "/bin/agent.dll"))) }, []string{"missing " + program + "/bin/agent.dll"}},
		{"missing data", func(h *host) { h.do(os.Remove(h.at(data))) }, []string{"missing " + data}},
		{"extra", func(h *host) { h.write(program+"/bin/version.dll", "") }, []string{"extra " + program + "/bin/version.dll"}},
		{"folder", func(h *host) {
			h.do(os.Rename(h.at(program+"/bin"), h.at("/bin")))
			h.write(program+"/bin", "")
		}, []string{"type " + program + "/bin"}},
		{"record", func(h *host) { h.write(program+"/etc/layout.json", "{}") }, []string{"record " + program + "/etc/layout.json"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := product(t)
			tt.tamper(h)
			h.wants(installed.Options{}, tt.want...)
		})
	}
}
