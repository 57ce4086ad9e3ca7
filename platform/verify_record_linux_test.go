package platform

import (
	stdlib "crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

// recordedRoot is a system below a folder with a product whose files are as its
// record says.
func recordedRoot(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	uid, gid := os.Getuid(), os.Getgid()
	put(t, filepath.Join(root, "etc/passwd"), fmt.Sprintf("root:x:0:0\nagent:x:%d:%d\n", uid, gid))
	put(t, filepath.Join(root, "etc/group"), fmt.Sprintf("root:x:0:\nagent:x:%d:\n", gid))
	layout := packaging.Layout{{Path: "/opt/agent", Mode: os.ModeDir | 0o755}, {Path: "/opt/agent/bin", Mode: os.ModeDir | 0o750}}
	for name, text := range map[string]string{"bin/agent": strings.Repeat("program\n", 20000), "etc/agent.conf": "a=1\n", "bin/other": "x"} {
		put(t, filepath.Join(root, "opt/agent", name), text)
		sum := stdlib.Sum256([]byte(text))
		e := packaging.Entry{Path: "/opt/agent/" + name, Mode: 0o600, Size: int64(len(text)), SHA256: sum}
		if strings.HasSuffix(name, ".conf") {
			e.Config = packaging.ConfigNoReplace
		}
		layout = append(layout, e)
	}
	must(t, os.Symlink("agent", filepath.Join(root, "opt/agent/bin/link")))
	must(t, os.Link(filepath.Join(root, "opt/agent/bin/agent"), filepath.Join(root, "opt/agent/bin/name")))
	layout.Sort()
	second, _ := layout.Lookup("/opt/agent/bin/agent")
	second.Path, second.HardLink = "/opt/agent/bin/name", second.Path
	layout = append(layout, second,
		packaging.Entry{Path: "/opt/agent/bin/link", Mode: os.ModeSymlink | 0o777, Target: "agent"},
		packaging.Entry{Path: "/opt/agent/etc", Mode: os.ModeDir | 0o755},
		packaging.Entry{Path: "/opt/agent/ghost", Ghost: true, Mode: 0o600})
	for i := range layout {
		layout[i].Owner, layout[i].Group = "agent", "agent"
	}
	layout.Sort()
	b, err := layout.MarshalJSON()
	must(t, err)
	put(t, filepath.Join(root, "opt/agent/etc/layout.json"), string(b))
	for name, mode := range map[string]os.FileMode{"": 0o755, "etc": 0o755, "bin": 0o750} {
		must(t, os.Chmod(filepath.Join(root, "opt/agent", name), mode)) // whatever the umask is
	}
	return root
}

func TestRecordDeviations(t *testing.T) {
	const program = "/opt/agent/bin/agent"
	for _, tc := range []struct {
		name   string
		tamper func(root string) error
		want   string
		asRoot bool
	}{
		{"healthy", func(string) error { return nil }, "", false},
		{"a byte", func(root string) error {
			f, err := os.OpenFile(root+program, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte("q"), 100000)
			return err
		}, "content " + program, false},
		{"a byte more", func(root string) error { return os.WriteFile(root+"/opt/agent/bin/other", []byte("xy"), 0o600) }, "content /opt/agent/bin/other", false},
		{"configuration", func(root string) error {
			return os.WriteFile(root+"/opt/agent/etc/agent.conf", []byte("a=2, and more\n"), 0o600)
		}, "", false},
		{"mode of configuration", func(root string) error { return os.Chmod(root+"/opt/agent/etc/agent.conf", 0o666) }, "mode /opt/agent/etc/agent.conf", false},
		{"setuid", func(root string) error { return os.Chmod(root+"/opt/agent/bin/other", os.ModeSetuid|0o600) }, "mode /opt/agent/bin/other", false},
		{"mode of a folder", func(root string) error { return os.Chmod(root+"/opt/agent/bin", 0o777) }, "mode /opt/agent/bin", false},
		{"owner", func(root string) error { return os.Lchown(root+"/opt/agent/bin/other", 12345, -1) }, "owner /opt/agent/bin/other", true},
		{"group", func(root string) error { return os.Lchown(root+"/opt/agent/bin/other", -1, 12345) }, "group /opt/agent/bin/other", true},
		{"owner of a link", func(root string) error { return os.Lchown(root+"/opt/agent/bin/link", 12345, -1) }, "owner /opt/agent/bin/link", true},
		{"nobody of the owner's name", func(root string) error {
			return os.WriteFile(root+"/etc/group", []byte("root:x:0:\n"), 0o600)
		}, strings.TrimSpace(strings.Repeat("group *\n", 8)), false},
		{"missing file", func(root string) error { return os.Remove(root + "/opt/agent/bin/other") }, "missing /opt/agent/bin/other", false},
		{"missing folder", func(root string) error { return os.RemoveAll(root + "/opt/agent/bin") }, "missing /opt/agent/bin", false},
		{"missing link", func(root string) error { return os.Remove(root + "/opt/agent/bin/link") }, "missing /opt/agent/bin/link", false},
		{"link elsewhere", func(root string) error {
			return os.Symlink("/tmp/agent", root+"/opt/agent/bin/link.new")
		}, "extra /opt/agent/bin/link.new", false},
		{"link changed", func(root string) error {
			if err := os.Remove(root + "/opt/agent/bin/link"); err != nil {
				return err
			}
			return os.Symlink("/tmp/agent", root+"/opt/agent/bin/link")
		}, "link /opt/agent/bin/link", false},
		{"file for a link", func(root string) error {
			if err := os.Remove(root + "/opt/agent/bin/link"); err != nil {
				return err
			}
			return os.WriteFile(root+"/opt/agent/bin/link", nil, 0o600)
		}, "type /opt/agent/bin/link", false},
		{"another file of a hard link", func(root string) error {
			b, err := os.ReadFile(root + program)
			if err != nil {
				return err
			}
			if err := os.Remove(root + "/opt/agent/bin/name"); err != nil {
				return err
			}
			return os.WriteFile(root+"/opt/agent/bin/name", b, 0o600)
		}, "hardlink /opt/agent/bin/name", false},
		{"capability", func(root string) error {
			return unix.Setxattr(root+"/opt/agent/bin/other", "security.capability", capability(1<<12, true), 0)
		}, "capabilities /opt/agent/bin/other", true},
		{"extra file", func(root string) error { return os.WriteFile(root+"/opt/agent/bin/.hidden", nil, 0o600) }, "extra /opt/agent/bin/.hidden", false},
		{"extra folder", func(root string) error { return os.MkdirAll(root+"/opt/agent/new/deep", 0o755) }, "extra /opt/agent/new", false},
		{"the package manager's copy of a configuration", func(root string) error {
			return os.WriteFile(root+"/opt/agent/etc/agent.conf.rpmnew", nil, 0o600)
		}, "", false},
		{"what looks like it", func(root string) error {
			return os.WriteFile(root+"/opt/agent/bin/other.rpmnew", nil, 0o600)
		}, "extra /opt/agent/bin/other.rpmnew", false},
		{"record gone", func(root string) error { return os.Remove(root + "/opt/agent/etc/layout.json") }, "record /opt/agent/etc/layout.json", false},
		{"record of a later version", func(root string) error {
			return os.WriteFile(root+"/opt/agent/etc/layout.json", []byte(`{"version":2}`), 0o600)
		}, "record /opt/agent/etc/layout.json", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.asRoot && os.Getuid() != 0 {
				t.Skip("needs root")
			}
			root := recordedRoot(t)
			must(t, tc.tamper(root))
			p := Product{Config: verifiedConfig(), Sys: hooks.Host{}, Log: slog.New(slog.DiscardHandler)}
			found, err := p.RecordDeviations(t.Context(), root)
			got := ruleLines(found)
			if strings.HasSuffix(tc.want, "*") { // the same of every file
				for _, d := range found {
					got = strings.Replace(got, d.Where, "*", 1)
				}
			}
			if err != nil || got != tc.want {
				t.Errorf("got %q, %v, want %q\n%v", got, err, tc.want, found)
			}
		})
	}
}

// TestRecordHashes reads more files than there are workers, and tells of each in the
// record's order.
func TestRecordHashes(t *testing.T) {
	root := recordedRoot(t)
	var layout packaging.Layout
	var want []string
	for i := range 100 {
		name := fmt.Sprintf("/opt/agent/bin/f%02d", i)
		put(t, root+name, "now")
		layout = append(layout, packaging.Entry{Path: name, Mode: 0o600, Owner: "agent", Group: "agent", Size: 3, SHA256: stdlib.Sum256([]byte("was"))})
		want = append(want, "content "+name)
	}
	b, err := layout.MarshalJSON()
	must(t, err)
	put(t, filepath.Join(root, "opt/agent/etc/layout.json"), string(b))
	p := Product{Config: verifiedConfig(), Sys: hooks.Host{}, Log: slog.New(slog.DiscardHandler)}
	found, err := p.RecordDeviations(t.Context(), root)
	if got := ruleLines(found[:min(100, len(found))]); err != nil || got != strings.Join(want, "\n") {
		t.Errorf("got %q, %v, want the 100 files in order", got, err)
	}
	sum := stdlib.Sum256([]byte("now"))
	if len(found) > 0 && found[0].Got != hex.EncodeToString(sum[:]) {
		t.Errorf("the hash is %s, want that of the content", found[0].Got)
	}
}

// capability is a vfs_cap_data with permitted capabilities.
func capability(permitted uint32, effective bool) []byte {
	b := make([]byte, 20)
	revision := uint32(0x02000000)
	if effective {
		revision |= 1
	}
	binary.LittleEndian.PutUint32(b, revision)
	binary.LittleEndian.PutUint32(b[4:], permitted)
	return b
}

// TestCapabilities compares with what package packaging makes of the same text.
func TestCapabilities(t *testing.T) {
	for _, text := range append([]string{
		"cap_net_admin=ep", "cap_net_admin,cap_net_raw+ep", "cap_chown=i cap_kill=p", "cap_bpf,cap_checkpoint_restore=eip", "CAP_KILL=p",
	}, packaging.Capabilities...) {
		if !strings.ContainsAny(text, "=+") {
			text += "=ep"
		}
		want, err := packaging.ParseCaps(text)
		must(t, err)
		got, ok := parseCaps(text)
		if !ok || got != (capSet{want.Permitted, want.Inheritable, want.Effective != 0}) {
			t.Errorf("%s: %v, %t, want %+v", text, got, ok, want)
		}
	}
	for _, text := range []string{"cap_net_admin-e", "all=ep", "=ep", "cap_unknown=p", "cap_kill=x", "cap_kill"} {
		if c, ok := parseCaps(text); ok {
			t.Errorf("%s: %v, want that it is not compared", text, c)
		}
	}
	if got := fileCaps(capability(1<<12, true)); got != (capSet{permitted: 1 << 12, effective: true}) {
		t.Errorf("the attribute is read as %v", got)
	}
}
