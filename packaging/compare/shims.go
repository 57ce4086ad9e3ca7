package compare

import (
	"regexp"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/templates/scriptlets"
)

// shims are the scriptlets that vpkg writes for a product, by format and phase.
// They only call the hook, which then does the same on every system; so two
// packages with them do the same, although the texts differ.
type shims map[string]map[packaging.Phase]string

// What a product's scriptlets say about it. A value that is not found, or not this
// one, gives another text than the package's, which then is no shim.
var (
	shimProgram = regexp.MustCompile(`(?m)^exec (\S+)/bin/vpkg-hook post-install --format rpm -- "\$1"$`)
	shimPrefix  = regexp.MustCompile(`(?m)^unset (\w*)ACTIVATION_CODE `)
	shimUser    = regexp.MustCompile(`(?m)^user=(\S+) group=(\S+)( state=(\S+))?$`)
	shimUseradd = regexp.MustCompile(`(?m)^\tset -- -M -g "\$group" -d (.+) -s (\S+) -c (.*) "\$user"$`)
	shimState   = regexp.MustCompile(`(?m)^root=\$\{DPKG_ROOT:-\} state=\$\{DPKG_ROOT:-\}(\S+)$`)
	shimData    = regexp.MustCompile(`(?m)^rm -rf "\$root"(\S+) \|\| :$`)
	shimLog     = regexp.MustCompile(`(?m)^rm -rf "\$state" "\$root"(\S+) \|\| :$`)
)

// newShims gives the scriptlets of the one product whose packages both sides seem
// to be; none if they are of two.
func newShims(c *comparison) shims {
	if !c.cross {
		return nil
	}
	p := scriptlets.Product{Name: c.a.Package.Name}
	same := true
	set := func(to *string, m []string, group int) {
		if m == nil || m[group] == "" {
			return
		}
		value := unquote(m[group])
		same = same && (*to == "" || *to == value)
		*to = value
	}
	for _, s := range []*Side{&c.a, &c.b} {
		text := func(phase packaging.Phase) string {
			s, _ := s.Package.Script(phase)
			return s.Body
		}
		switch s.Format {
		case "rpm":
			pre := text(packaging.PreInstall)
			set(&p.Program, shimProgram.FindStringSubmatch(text(packaging.PostInstall)), 1)
			set(&p.EnvPrefix, shimPrefix.FindStringSubmatch(pre), 1)
			user := shimUser.FindStringSubmatch(pre)
			set(&p.User, user, 1)
			set(&p.Group, user, 2)
			set(&p.State, user, 4)
			useradd := shimUseradd.FindStringSubmatch(pre)
			set(&p.Home, useradd, 1)
			set(&p.Shell, useradd, 2)
			set(&p.Comment, useradd, 3)
		case "deb":
			post := text(packaging.PostRemove)
			user := shimUser.FindStringSubmatch(post)
			set(&p.User, user, 1)
			set(&p.Group, user, 2)
			set(&p.State, shimState.FindStringSubmatch(post), 1)
			set(&p.Data, shimData.FindStringSubmatch(post), 1)
			set(&p.Log, shimLog.FindStringSubmatch(post), 1)
		}
	}
	if !same {
		return nil
	}
	r, err := scriptlets.RenderRPM(p)
	if err != nil {
		return nil
	}
	d, err := scriptlets.RenderDeb(p)
	if err != nil {
		return nil
	}
	return shims{
		"rpm": {
			packaging.PreInstall: r.Pre, packaging.PostInstall: r.Post, packaging.PreRemove: r.PreUn,
			packaging.PostRemove: r.PostUn, packaging.PostTrans: r.PostTrans,
		},
		"deb": {
			packaging.PreInstall: d.PreInst, packaging.PostInstall: d.PostInst,
			packaging.PreRemove: d.PreRm, packaging.PostRemove: d.PostRm,
		},
	}
}

// own gives what a side's scriptlet does before vpkg's part begins, and whether
// there is such a part: a manifest's own script runs first.
func (sh shims) own(s *Side, phase packaging.Phase) (string, bool) {
	want, known := sh[s.Format][phase]
	script, has := s.Package.Script(phase)
	if !known || !has {
		return "", !known && !has && len(sh[s.Format]) > 0 // a format without this phase
	}
	if len(script.Interpreter) > 0 && !slices.Equal(script.Interpreter, []string{"/bin/sh"}) {
		return "", false
	}
	return strings.CutSuffix(plain(script.Body), plain(want))
}

// plain is a script without its first line, if that only names its interpreter.
func plain(text string) string {
	return strings.TrimPrefix(strings.TrimRight(text, "\n"), "#!/bin/sh\n")
}

// unquote gives the word that a shell reads, of those that scriptlets quotes.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return strings.ReplaceAll(s[1:len(s)-1], `'\''`, "'")
	}
	return s
}
