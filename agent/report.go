package agent

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/vpkg/vpkg/hooks"
)

// maxReported is how much of a file or of a command's answer a report has, its
// end: as much as a log can have.
const maxReported = MaxLogSize

// A Report is what support needs to see of a host, without its secrets.
type Report struct {
	Config  hooks.Config
	Data    string // the data folder on this host; empty means Config.Data
	Sys     hooks.System
	Secrets []string // are redacted wherever they stand
	Time    time.Time
}

// commands are those whose answers are reported. One that is not installed is
// left out.
func (r Report) commands() map[string][]string {
	c := r.Config
	if c.Windows {
		return r.windowsCommands()
	}
	commands := map[string][]string{
		"status":          {c.Hook(), "platform", "status"},
		"check-env":       {c.Hook(), "check-env"},
		"uname":           {"uname", "-a"},
		"lsmod":           {"lsmod"},
		"ip-address":      {"ip", "address"},
		"nft-ruleset":     {"nft", "-s", "list", "ruleset"},
		"iptables-save":   {"iptables-save"},
		"ip6tables-save":  {"ip6tables-save"},
		"ipset-save":      {"ipset", "save"},
		"journal":         {"journalctl", "--no-pager", "--lines=5000", "--unit=" + c.Name + "*"},
		"package-rpm":     {"rpm", "-V", c.Name},
		"package-deb":     {"dpkg", "-V", c.Name},
		"firewall-images": {"ls", "-lR", c.State()},
	}
	for _, u := range c.Units {
		commands["unit-"+u.Name] = []string{"systemctl", "--no-pager", "--lines=0", "status", u.Name}
	}
	return commands
}

func (r Report) windowsCommands() map[string][]string {
	c := r.Config
	commands := map[string][]string{
		"status":      {c.Hook(), "platform", "status"},
		"check-env":   {c.Hook(), "check-env"},
		"version":     {"cmd", "/c", "ver"},
		"ip-address":  {"ipconfig", "/all"},
		"firewall":    {"netsh", "advfirewall", "show", "allprofiles"},
		"access-list": {"icacls", r.data()},
	}
	for _, u := range c.Units {
		commands["service-"+u.Name] = []string{"sc", "queryex", u.Name}
	}
	return commands
}

func (r Report) data() string { return cmp.Or(r.Data, r.Config.Data) }

// files are reported by their path. What is a secret, or may have one, is not
// among them: the token, the code, keys and certificates.
func (r Report) files() []string {
	c := r.Config
	files := []string{
		"/etc/os-release", "/proc/meminfo", "/proc/mounts",
		c.Program + hooks.ConfigFile, c.LogFile(), c.Settings,
		c.PolicyStatus(),
	}
	for _, name := range []string{"installed.json", "journal.json", "platform.json", "failed", "recovery.txt", "made"} {
		files = append(files, path.Join(c.State(), name))
	}
	for _, s := range c.Sysctls {
		files = append(files, hooks.SysctlPath(s.Name))
	}
	return files
}

// logs are the files of the data folder that are reported. The folder is not
// root's: no link in it is followed out of it.
func (r Report) logs(root *os.Root) []string {
	logs := []string{ConfigFile, IDFile, PolicyFile}
	entries, err := fs.ReadDir(root.FS(), "log")
	if err != nil {
		return logs
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			logs = append(logs, "log/"+e.Name())
		}
	}
	return logs
}

// Write writes the report as a tar archive, compressed with gzip. What could not
// be read is named in its file errors.txt.
func (r Report) Write(ctx context.Context, w io.Writer) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	var failed strings.Builder
	add := func(name string, text []byte, err error) error {
		if err != nil {
			fmt.Fprintf(&failed, "%s: %v\n", name, err)
		}
		if len(text) == 0 {
			return nil
		}
		return r.add(t, name, text)
	}
	for name, argv := range r.commands() {
		out, err := r.Sys.Run(ctx, argv...)
		if err := add("commands/"+name+".txt", []byte(out), err); err != nil {
			return err
		}
	}
	for _, file := range r.files() {
		if file == "" {
			continue
		}
		text, err := r.Sys.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := add("files"+file, text, err); err != nil {
			return err
		}
	}
	if r.Config.Data != "" {
		if err := r.addData(add); err != nil {
			return err
		}
	}
	if err := r.add(t, "errors.txt", []byte(failed.String())); err != nil {
		return err
	}
	return errors.Join(t.Close(), z.Close())
}

// addData adds what is reported of the data folder.
func (r Report) addData(add func(string, []byte, error) error) error {
	root, err := os.OpenRoot(r.data())
	if err != nil {
		return add("files"+r.Config.Data, nil, err)
	}
	defer root.Close() // only read
	for _, name := range r.logs(root) {
		text, err := tail(root, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := add("files"+path.Join(r.Config.Data, name), text, err); err != nil {
			return err
		}
	}
	return nil
}

// tail reads the end of a regular file.
func tail(root *os.Root, name string) ([]byte, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	if info.Size() > maxReported {
		if _, err := f.Seek(-maxReported, io.SeekEnd); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(io.LimitReader(f, maxReported))
}

// add adds one file, line by line without secrets.
func (r Report) add(t *tar.Writer, name string, text []byte) error {
	text = text[max(0, len(text)-maxReported):]
	var clean bytes.Buffer
	if _, err := (hooks.Redactor{W: &clean, Secrets: r.Secrets}).Write(text); err != nil {
		return err
	}
	h := &tar.Header{Name: path.Join(r.Config.Name+"-report", name), Mode: 0o600, Size: int64(clean.Len()), ModTime: r.Time, Typeflag: tar.TypeReg}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	_, err := t.Write(clean.Bytes())
	return err
}
