package verify

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

// record is the digest of the record that the package states; empty means none.
func (c *checker) recordDigest() string {
	p := c.Package
	for _, r := range p.Relations {
		if d, ok := strings.CutPrefix(r.Text, "vpkg-layout(sha256) = "); ok && r.Kind == packaging.Provides {
			return d
		}
	}
	for _, f := range p.Fields {
		if f.Name == "Vpkg-Layout-Sha256" {
			return f.Value
		}
	}
	if p.Windows != nil && !p.Windows.Record.IsZero() {
		return p.Windows.Record.String()
	}
	return ""
}

func checkRecord(c *checker) {
	want := c.recordDigest()
	if c.Scan == nil || want == "" {
		return
	}
	p, text := c.Scan.inFile, c.Scan.record
	if p == "" {
		c.find("", "the package states the digest of a record, and has no etc/layout.json")
		return
	}
	e, _ := c.layout.Lookup(p)
	if got := e.SHA256.String(); got != want {
		c.findings = append(c.findings, Finding{
			Rule: c.rule.Name, Severity: c.rule.Severity, Where: p, Text: "it is not the record whose digest the package states",
			Do: c.rule.Do, Want: want, Got: got,
		})
		return
	}
	if len(text) > maxRecord {
		c.findAs(Info, p, "the record has more than %d bytes, and was not compared with the files", maxRecord)
		return
	}
	var record packaging.Layout
	if err := json.Unmarshal(text, &record); err != nil {
		c.find(p, "it cannot be read: %v", err)
		return
	}
	record.Sort()
	const most = 20
	n := 0
	for _, m := range packaging.Diff(record, c.layout) {
		if m.Path == p || m.Attribute == "extra" && c.isImplicit(m.Path) || m.Attribute == "ghost" {
			continue
		}
		if n++; n > most {
			continue
		}
		c.findings = append(c.findings, Finding{
			Rule: c.rule.Name, Severity: c.rule.Severity, Where: m.Path, Text: MismatchText(m, "the record"), Do: c.rule.Do, Want: m.Want, Got: m.Got,
		})
	}
	if n > most {
		c.find(p, "%d more differences from the record", n-most)
	}
}

// MismatchText says what a difference from what was meant is, with the name of who
// meant it.
func MismatchText(m packaging.Mismatch, by string) string {
	switch m.Attribute {
	case "missing":
		return by + " has it, and the package does not"
	case "extra":
		return "the package has it, and " + by + " does not"
	case "sha256":
		return "its content is not that of " + by
	}
	return fmt.Sprintf("its %s is %s, and that of %s is %s", m.Attribute, orNone(m.Got), by, orNone(m.Want))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// isImplicit reports whether an entry is a folder that stands in a DEB only because
// dpkg wants the folders above a file listed.
func (c *checker) isImplicit(p string) bool { return IsImplicit(c.Format, c.layout, p) }

// IsImplicit reports whether an entry of a layout is a folder that stands in a DEB only
// because dpkg wants the folders above a file listed: root's, and with mode 0755.
func IsImplicit(format string, l packaging.Layout, p string) bool {
	e, ok := l.Lookup(p)
	return ok && format == "deb" && e.Mode.IsDir() && packaging.UnixMode(e.Mode)&0o7777 == 0o755 && e.OwnerName() == "root" && e.GroupName() == "root"
}

func checkHookConfig(c *checker) {
	if c.Scan == nil || c.Scan.config == nil {
		return
	}
	where := strings.TrimPrefix(hooks.ConfigFile, "/")
	if c.recordDigest() == "" {
		return // a file of that name that is none of vpkg's
	}
	if c.hook == nil {
		c.find(where, "%v", c.hookErr)
		return
	}
	h := c.hook
	if h.Name != c.Package.Name {
		c.find(where, "it is of the package %s", h.Name)
	}
	if v := c.Package.Version; h.Version != v && !strings.HasPrefix(h.Version, v+"-") && !strings.Contains(h.Version, ":"+v) {
		c.find(where, "it is of the version %s", h.Version)
	}
	program := path.Join(h.Program, "bin/vpkg-hook")
	if h.Windows {
		program += ".exe"
	}
	if _, ok := c.layout.Lookup(program); !ok {
		c.find(program, "the scriptlets call the hook, and the package has none")
	}
	for _, u := range h.Units {
		switch {
		case h.Windows:
			if !hasService(c.Package, u.Name) {
				c.find(where, "it names the service %s, which the package does not have", u.Name)
			}
		case !c.hasUnit(u.Name):
			c.find(where, "it names the unit %s, which the package does not have", u.Name)
		}
	}
	c.compareMember()
}

func hasService(p *packaging.Package, name string) bool {
	if p.Windows == nil {
		return false
	}
	for _, s := range p.Windows.Services {
		if s.Name == name {
			return true
		}
	}
	return false
}

func (c *checker) hasUnit(name string) bool {
	for i := range c.layout {
		if p := c.layout[i].Path; path.Base(p) == name && strings.HasSuffix(path.Dir(p), "/systemd/system") {
			return true
		}
	}
	return false
}

// compareMember compares the hook and its configuration in a DEB's control archive
// with those in the payload.
func (c *checker) compareMember() {
	for _, m := range c.Package.Members {
		switch m.Name {
		case "hook":
			e, _ := c.layout.Lookup(path.Join(c.hook.Program, "bin/vpkg-hook"))
			if d, err := bodyDigest(m.Body); err == nil && d != e.SHA256 {
				c.find("hook", "the hook of the control archive is another program than that of the payload")
			}
		case "hook-config":
			text, err := bodyText(m.Body)
			if err != nil {
				continue
			}
			config, err := hooks.ParseConfig(text)
			if err != nil {
				c.find("hook-config", "%v", err)
				continue
			}
			config.Version = c.hook.Version // that of the DEB has the target's label
			a, errA := config.Marshal()
			b, errB := c.hook.Marshal()
			if errA != nil || errB != nil || string(a) != string(b) {
				c.find("hook-config", "the hook's configuration in the control archive is another one than that of the payload")
			}
		}
	}
}

func bodyDigest(b packaging.Body) (packaging.Digest, error) {
	r, err := b.Open()
	if err != nil {
		return packaging.Digest{}, err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return packaging.Digest{}, err
	}
	return packaging.Digest(h.Sum(nil)), nil
}

func bodyText(b packaging.Body) ([]byte, error) {
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxHookFile))
}
