package installed

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

// Known is what the database of a package manager says about a package.
type Known struct {
	Format  string           // "rpm" or "deb"; empty means that there is no such database
	Name    string           // of the package
	EVR     string           // [EPOCH:]VERSION[-RELEASE]
	Arch    string           // in the format's own spelling
	Record  packaging.Digest // of the record; zero means that it says none
	problem error            // why it could not be asked
}

// Lookup asks the databases of dpkg and rpm about a package. One that is in neither is
// ErrNotInstalled; where there is no database the Known is zero.
func (h *Host) Lookup(ctx context.Context, name string) (Known, error) {
	if err := checkName(name); err != nil {
		return Known{}, fmt.Errorf("%w: %w", ErrNotInstalled, err)
	}
	var asked bool
	var problem error
	for _, d := range []struct {
		folders []string // the first that has one of the files is the database
		files   []string
		query   func(ctx context.Context, folder, name string) (Known, error)
	}{
		{[]string{"/var/lib/dpkg"}, []string{"status"}, h.dpkg},
		{[]string{"/usr/lib/sysimage/rpm", "/var/lib/rpm"}, []string{"rpmdb.sqlite", "Packages.db", "Packages"}, h.rpm},
	} {
		folder, ok := h.database(ctx, d.folders, d.files)
		if !ok {
			continue
		}
		k, err := d.query(ctx, folder, name)
		switch {
		case err == nil:
			return k, nil
		case ctx.Err() != nil:
			return Known{}, ctx.Err()
		case errors.Is(err, ErrNotInstalled):
			asked = true
		default:
			problem = errors.Join(problem, err)
		}
	}
	if asked && problem == nil {
		return Known{}, ErrNotInstalled
	}
	return Known{problem: problem}, nil
}

// database finds the first of the folders that has one of the files in it.
func (h *Host) database(ctx context.Context, folders, files []string) (string, bool) {
	s := h.scan(hooks.Config{})
	for _, folder := range folders {
		var want packaging.Layout
		for _, f := range files {
			want = append(want, packaging.Entry{Path: path.Join(folder, f)})
		}
		want.Sort()
		if got, _, err := s.Read(ctx, want); err == nil && len(got) > 0 {
			return folder, true
		}
	}
	return "", false
}

// dpkg asks dpkg's database.
func (h *Host) dpkg(ctx context.Context, folder, name string) (Known, error) {
	argv := []string{"dpkg-query"}
	if h.Root != "" {
		argv = append(argv, "--admindir="+filepath.Join(h.Root, filepath.FromSlash(folder)))
	}
	const format = `${db:Status-Status}\t${Version}\t${Architecture}\t${Vpkg-Layout-Sha256}\n`
	out, err := h.run(ctx, append(argv, "-W", "-f", format, name)...)
	f := strings.Split(strings.TrimSuffix(out, "\n"), "\t")
	switch {
	case out == "" && err != nil && strings.Contains(err.Error(), "no packages found"):
		return Known{}, ErrNotInstalled
	case err != nil:
		return Known{}, err
	case len(f) != 4 || strings.Contains(out, "\n") && strings.Count(out, "\n") > 1:
		return Known{}, fmt.Errorf("dpkg-query says %q about %s", out, name)
	case f[0] == "not-installed", f[0] == "config-files":
		return Known{}, ErrNotInstalled
	}
	k := Known{Format: "deb", Name: name, EVR: f[1], Arch: f[2]}
	k.Record, _ = packaging.ParseDigest(f[3]) // one that is none is none
	return k, nil
}

// rpm asks rpm's database.
func (h *Host) rpm(ctx context.Context, folder, name string) (Known, error) {
	argv := []string{"rpm"}
	if h.Root != "" {
		at, err := filepath.Abs(filepath.Join(h.Root, filepath.FromSlash(folder)))
		if err != nil {
			return Known{}, err
		}
		argv = append(argv, "--dbpath", at)
	}
	const format = `%{NAME}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\t%{ARCH}\n[\t%{PROVIDENAME}\t%{PROVIDEVERSION}\n]`
	out, err := h.run(ctx, append(argv, "-q", "--qf", format, name)...)
	switch {
	case err != nil && strings.Contains(out, "is not installed"):
		return Known{}, ErrNotInstalled
	case err != nil:
		return Known{}, err
	}
	k := Known{}
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case len(f) == 3 && f[0] != "" && k.Format != "":
			return Known{}, fmt.Errorf("%s is installed in several versions", name)
		case len(f) == 3 && f[0] != "":
			k = Known{Format: "rpm", Name: f[0], EVR: f[1], Arch: f[2]}
		case len(f) == 3 && f[1] == "vpkg-layout(sha256)":
			k.Record, _ = packaging.ParseDigest(f[2])
		}
	}
	if k.Name != name { // rpm takes "NAME-VERSION" as well
		return Known{}, ErrNotInstalled
	}
	return k, nil
}
