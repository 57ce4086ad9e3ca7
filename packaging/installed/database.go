package installed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

// recordProvide is what a package provides in the version that is its record's digest.
const recordProvide = "vpkg-layout(sha256)"

// rpmFiles are those of rpm's databases, of each kind one.
var rpmFiles = []string{"rpmdb.sqlite", "Packages.db", "Packages"}

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
	found, asked, problem := h.ask(ctx, name)
	switch {
	case ctx.Err() != nil:
		return Known{}, ctx.Err()
	case len(found) > 0:
		return found[0], nil
	case asked && problem == nil:
		return Known{}, ErrNotInstalled
	}
	return Known{problem: problem}, nil
}

// ask asks the databases of dpkg and rpm: about the package of that name, where the
// first that has it counts, or with an empty name about all that have the digest of a
// record. asked says that one of them answered, problem why others did not.
func (h *Host) ask(ctx context.Context, name string) (found []Known, asked bool, problem error) {
	for _, d := range []struct {
		folders []string // the first that has one of the files is the database
		files   []string
		query   func(ctx context.Context, folder, name string) ([]Known, error)
	}{
		{[]string{"/var/lib/dpkg"}, []string{"status"}, h.dpkg},
		{[]string{"/usr/lib/sysimage/rpm", "/var/lib/rpm"}, rpmFiles, h.rpm},
	} {
		folder, ok := h.database(ctx, d.folders, d.files)
		if !ok {
			continue
		}
		all, err := d.query(ctx, folder, name)
		if name == "" {
			all = slices.DeleteFunc(all, func(k Known) bool { return k.Record.IsZero() })
		} else if len(all) > 1 {
			all, err = nil, fmt.Errorf("%s is installed more than once", name)
		}
		if err != nil {
			problem = errors.Join(problem, err)
			continue
		}
		asked = true
		found = append(found, all...)
		if name != "" && len(found) > 0 {
			break
		}
	}
	return found, asked, problem
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

// dpkg asks dpkg's database about a package, or with an empty name about all.
func (h *Host) dpkg(ctx context.Context, folder, name string) ([]Known, error) {
	argv := []string{"dpkg-query"}
	if h.Root != "" {
		argv = append(argv, "--admindir="+filepath.Join(h.Root, filepath.FromSlash(folder)))
	}
	const format = `${Package}\t${db:Status-Status}\t${Version}\t${Architecture}\t${Vpkg-Layout-Sha256}\n`
	argv = append(argv, "-W", "-f", format)
	if name != "" {
		argv = append(argv, name)
	}
	out, err := h.run(ctx, argv...)
	switch {
	case out == "" && err != nil && strings.Contains(err.Error(), "no packages found"):
		return nil, nil
	case err != nil:
		return nil, err
	}
	var all []Known
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case len(f) != 5:
			return nil, fmt.Errorf("dpkg-query says %q", line)
		case f[1] == "not-installed", f[1] == "config-files":
			continue
		}
		k := Known{Format: "deb", Name: f[0], EVR: f[2], Arch: f[3]}
		k.Record, _ = packaging.ParseDigest(f[4]) // one that is none is none
		all = append(all, k)
	}
	return all, nil
}

// rpm asks rpm's database about a package, or with an empty name about all that have
// the digest of a record.
func (h *Host) rpm(ctx context.Context, folder, name string) ([]Known, error) {
	const format = `%{NAME}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\t%{ARCH}\n[\t%{PROVIDENAME}\t%{PROVIDEVERSION}\n]`
	args := []string{"-q", "--qf", format}
	if name != "" {
		args = append(args, name)
	} else {
		args = append(args, "--whatprovides", recordProvide)
	}
	var out string
	var err error
	if h.Root == "" {
		out, err = h.run(ctx, append([]string{"rpm"}, args...)...)
	} else {
		out, err = h.runCopy(ctx, folder, args)
	}
	switch none := strings.Contains(out, "is not installed") || strings.Contains(out, "no package provides"); {
	case err != nil && none && !strings.Contains(err.Error(), "error: "): // it says so of a database that it cannot open, too
		return nil, nil
	case err != nil:
		return nil, err
	}
	var all []Known
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case len(f) == 3 && f[0] != "":
			all = append(all, Known{Format: "rpm", Name: f[0], EVR: f[1], Arch: f[2]})
		case len(f) == 3 && f[1] == recordProvide && len(all) > 0:
			all[len(all)-1].Record, _ = packaging.ParseDigest(f[2])
		}
	}
	if name != "" { // rpm takes "NAME-VERSION" as well
		all = slices.DeleteFunc(all, func(k Known) bool { return k.Name != name })
	}
	return all, nil
}

// runCopy runs rpm on a copy of its database: it writes beside one that it reads, and
// cannot open one that it cannot write beside.
func (h *Host) runCopy(ctx context.Context, folder string, args []string) (string, error) {
	dir, err := os.MkdirTemp("", "vpkg-rpmdb-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := h.copyFiles(ctx, folder, dir); err != nil {
		return "", fmt.Errorf("copying rpm's database: %w", err)
	}
	kinds := present(dir, rpmFiles)
	out, err := h.run(ctx, append([]string{"rpm", "--dbpath", dir}, args...)...)
	if !slices.Equal(present(dir, rpmFiles), kinds) { // it made an empty one of its own kind
		return "", fmt.Errorf("this system's rpm knows no databases such as %s", strings.Join(kinds, ", "))
	}
	return out, err
}

// present gives those of the names that are in a folder of this system.
func present(dir string, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		_, err := os.Lstat(filepath.Join(dir, n))
		return err != nil
	})
}

// maxDatabase is the most that is copied of a database, in bytes: those of large hosts
// have some hundred millions.
const maxDatabase = 4 << 30

// copyFiles copies the files of one of the host's folders, but not those in folders
// below, to a folder of this system.
func (h *Host) copyFiles(ctx context.Context, folder, to string) error {
	s := h.scan(hooks.Config{})
	names, err := s.Names(folder)
	if err != nil {
		return err
	}
	want := make(packaging.Layout, 0, len(names))
	for _, n := range names {
		want = append(want, packaging.Entry{Path: path.Join(folder, n)})
	}
	want.Sort()
	got, errs, err := s.Read(ctx, want)
	if err != nil {
		return err
	}
	if len(errs) > 0 {
		return errs[0]
	}
	left := int64(maxDatabase)
	for _, e := range got {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if e.Mode.IsDir() {
			continue
		}
		n, err := copyFile(s, e.Path, filepath.Join(to, path.Base(e.Path)), left)
		if err != nil {
			return err
		}
		left -= n
	}
	return nil
}

// copyFile copies a file of the host that has no more than limit bytes.
func copyFile(s *packaging.Scan, name, to string, limit int64) (n int64, err error) {
	from, err := s.Open(name, limit)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(f, io.LimitReader(from, limit))
	return n, errors.Join(err, f.Close())
}
