// Package scriptlets renders what rpm and dpkg run: shell of a few lines that
// hands its arguments to vpkg-hook and decides nothing.
//
// Two of them are more, because the hook is not on disk then: rpm's %pre, which
// makes group and user before rpm unpacks, and the purge of a DEB.
//
// Names, folders and versions are those of the hook's configuration; see
// package hooks, whose rules for them hold here.
package scriptlets

import (
	"embed"
	"fmt"
	"strings"
	"text/template"
)

// A Product is what the scriptlets know about a package.
type Product struct {
	Name      string // the package's
	Program   string // folder of the program; the hook is its bin/vpkg-hook
	Data      string // folder that a purge removes; empty means none
	State     string // folder of the hook's state
	Log       string // file that a purge removes
	EnvPrefix string // "VEN_" for VEN_NONPRIV_USER; empty means that nothing is read

	User    string // empty means that the package has no account
	Group   string // empty means a group of the user's name
	Home    string // empty means "/"
	Shell   string // empty means /sbin/nologin
	Comment string
}

// RPM is the text of an RPM's scriptlets, each for /bin/sh.
type RPM struct{ Pre, Post, PreUn, PostUn, PostTrans string }

// Deb is the text of a DEB's maintainer scripts, each with its #! line. They
// find the hook beside themselves, as the member "hook" of the control archive.
type Deb struct{ PreInst, PostInst, PreRm, PostRm string }

// RenderRPM gives the scriptlets of an RPM.
func RenderRPM(p Product) (RPM, error) {
	var r RPM
	err := p.render(map[string]*string{
		"rpm/pre.sh": &r.Pre, "rpm/post.sh": &r.Post, "rpm/preun.sh": &r.PreUn,
		"rpm/postun.sh": &r.PostUn, "rpm/posttrans.sh": &r.PostTrans,
	})
	return r, err
}

// RenderDeb gives the maintainer scripts of a DEB.
func RenderDeb(p Product) (Deb, error) {
	var d Deb
	err := p.render(map[string]*string{
		"deb/preinst.sh": &d.PreInst, "deb/postinst.sh": &d.PostInst,
		"deb/prerm.sh": &d.PreRm, "deb/postrm.sh": &d.PostRm,
	})
	return d, err
}

//go:embed rpm/*.sh deb/*.sh
var files embed.FS

func (p Product) render(scripts map[string]*string) error {
	for name, text := range scripts {
		b, err := files.ReadFile(name)
		if err != nil {
			return fmt.Errorf("rendering %s: %w", name, err)
		}
		t, err := template.New(name).Funcs(template.FuncMap{"sh": quote}).Parse(string(b))
		if err != nil {
			return fmt.Errorf("rendering %s: %w", name, err)
		}
		var out strings.Builder
		if err := t.Execute(&out, p); err != nil {
			return fmt.Errorf("rendering %s: %w", name, err)
		}
		*text = out.String()
	}
	return nil
}

// Hook is the path of the hook in the payload.
func (p Product) Hook() string { return p.Program + "/bin/vpkg-hook" }

// GroupName is Group, or the user's name.
func (p Product) GroupName() string { return or(p.Group, p.User) }

// HomeDir is Home, or its default.
func (p Product) HomeDir() string { return or(p.Home, "/") }

// LoginShell is Shell, or its default.
func (p Product) LoginShell() string { return or(p.Shell, "/sbin/nologin") }

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// quote gives s as one word of a shell command.
func quote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
