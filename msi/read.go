package msi

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/vpkg/vpkg/msi/internal/msidb"
	"github.com/vpkg/vpkg/packaging"
)

// Read reads any package for Windows Installer. Its layout has what the tables
// File, Directory and CreateFolder lay down, on a host that was set up as usual and
// with all features; what custom actions or DuplicateFile do is not in it.
//
// With depth Payload the files of the cabinets are read, their checksums and MD5
// sums compared, and their SHA-256 made. Files of cabinets that are beside the
// package have none, and neither have those that lie there uncompressed.
//
// What the package's description has no place for in the tables stands in
// properties of vpkg's own; of another maker's package it is empty.
func (Format) Read(ctx context.Context, r io.ReaderAt, size int64, depth packaging.Depth) (*packaging.Package, error) {
	c, err := Open(r, size)
	if err != nil {
		return nil, err
	}
	return c.Package(ctx, depth)
}

func readDatabase(r io.ReaderAt, size int64) (*msidb.Database, error) {
	const sector = 512
	if size%sector != 0 {
		return nil, &FormatError{"the file", fmt.Errorf("it has %d bytes and ends within a sector", size)}
	}
	if n, err := r.ReadAt(make([]byte, 1), size-1); n != 1 {
		return nil, &FormatError{"the file", fmt.Errorf("it ends before its %d bytes: %w", size, err)}
	}
	db, err := msidb.Read(r, size)
	if err != nil {
		return nil, fmt.Errorf("msi: %w", err)
	}
	return db, nil
}

// properties are those of the table Property.
func properties(db *msidb.Database) map[string]string {
	all := make(map[string]string)
	for r := range db.Rows("Property") {
		all[r.Text("Property")] = r.Text("Value")
	}
	return all
}

// A describer finds out what a database says about its package.
type describer struct {
	c        *Contents
	db       *msidb.Database
	property map[string]string
	p        *packaging.Package
	rows     map[string]msidb.Record // of Directory by key
	folders  map[string]string       // their paths
	files    map[string]string       // paths by key of File
	programs map[string]string       // paths of the files that are key paths, by component
	seen     map[string]bool         // paths of the layout while it is made
}

// describe reads a package to that depth.
func (c *Contents) describe(ctx context.Context, depth packaging.Depth) (*describer, error) {
	d := &describer{c: c, db: c.db, property: properties(c.db)}
	d.p = d.identity()
	if err := d.layout(); err != nil {
		return nil, err
	}
	return d, d.cabinets(ctx, depth)
}

func (d *describer) identity() *packaging.Package {
	is := d.property
	p := &packaging.Package{
		Name: is[nameProperty], Version: is["ProductVersion"], Release: is[buildProperty],
		Summary: is["ARPCOMMENTS"], Description: is[descriptionProperty], License: is[licenseProperty],
		Maintainer: is[maintainerProperty], Homepage: is["ARPURLINFOABOUT"], Vendor: is["Manufacturer"],
		Date: d.db.Summary.Created,
		Windows: &packaging.Windows{
			ProductName: is["ProductName"], UpgradeCode: is["UpgradeCode"],
			HelpLink: is["ARPHELPLINK"], UpdateLink: is["ARPURLUPDATEINFO"],
		},
	}
	if p.Name == "" {
		p.Name = is["ProductName"]
	}
	if p.Summary == "" {
		p.Summary = d.db.Summary.Subject
	}
	if is[nameProperty] != "" && p.Vendor == manufacturer(&packaging.Package{Name: p.Name, Maintainer: p.Maintainer}) {
		p.Vendor = "" // it stands for the vendor who was not named
	}
	p.Arch, _, _ = strings.Cut(d.db.Summary.Template, ";")
	for _, a := range archs {
		if strings.EqualFold(p.Arch, a.template) {
			p.Arch = a.name
		}
	}
	if s := is[recordProperty]; s != "" {
		p.Windows.Record, _ = packaging.ParseDigest(s) // one that is none is none
	}
	if len(d.db.Streams) > 0 && d.db.Table("Media") != nil {
		p.Compression.Codec = "mszip"
	}
	return p
}

// path gives the path of a folder of the table Directory.
func (d *describer) path(key string, depth int) (string, error) {
	if p, ok := d.folders[key]; ok {
		return p, nil
	}
	bad := func(format string, args ...any) (string, error) {
		return "", &FormatError{"Directory." + key, fmt.Errorf(format, args...)}
	}
	if i := slices.IndexFunc(standardFolders, func(s standardFolder) bool { return s.id == key }); i >= 0 {
		return standardFolders[i].path, nil
	}
	row, ok := d.rows[key]
	switch {
	case !ok:
		return bad("it is not there")
	case depth > 100:
		return bad("the folder is deep, or lies within itself")
	case key == "TARGETDIR" || row.IsNull("Directory_Parent") || row.Text("Directory_Parent") == key:
		return "/", nil
	}
	up, err := d.path(row.Text("Directory_Parent"), depth+1)
	if err != nil {
		return "", err
	}
	target, _, _ := strings.Cut(row.Text("DefaultDir"), ":") // what follows is in the source
	name := longName(target)
	if name == "." {
		d.folders[key] = up
		return up, nil
	}
	if !plain(name) {
		return bad("name %q", name)
	}
	d.folders[key] = path.Join(up, name)
	return d.folders[key], nil
}

// longName is the name of a column of category Filename: "SHORT~1.EXT|long name".
func longName(s string) string {
	if _, long, ok := strings.Cut(s, "|"); ok {
		return long
	}
	return s
}

// plain reports whether a name is one of a file and not a path.
func plain(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\\\x00\n")
}

func find(db *msidb.Database, table, column, value string) (msidb.Record, bool) {
	for r := range db.Rows(table) {
		if r.Text(column) == value {
			return r, true
		}
	}
	return msidb.Record{}, false
}

// layout makes the layout but for what only the cabinets know.
func (d *describer) layout() error {
	d.folders, d.files, d.programs = make(map[string]string), make(map[string]string), make(map[string]string)
	d.rows = make(map[string]msidb.Record)
	for r := range d.db.Rows("Directory") {
		d.rows[r.Text("Directory")] = r
	}
	w := d.p.Windows
	for _, v := range []struct {
		key string
		to  *string
	}{{programFolder, &w.Program}, {dataFolder, &w.Data}} {
		if _, ok := d.rows[v.key]; ok {
			var err error
			if *v.to, err = d.path(v.key, 0); err != nil {
				return err
			}
		}
	}
	d.seen = make(map[string]bool)
	components := make(map[string]msidb.Record)
	for r := range d.db.Rows("Component") {
		components[r.Text("Component")] = r
		dir, err := d.path(r.Text("Directory_"), 0)
		if err != nil {
			return err
		}
		if dir == w.Data && w.Data != "" {
			continue // made at install
		}
		for ; !isStandard(dir); dir = path.Dir(dir) {
			if !d.seen[dir] {
				d.add(packaging.Entry{Path: dir, Mode: fs.ModeDir | 0o755})
			}
		}
	}
	for r := range d.db.Rows("File") {
		if err := d.file(r, components); err != nil {
			return err
		}
	}
	d.seen = nil
	d.p.Layout.Sort()
	d.services()
	d.registry()
	d.environment()
	if row, ok := find(d.db, "MsiLockPermissionsEx", "LockObject", dataFolder); ok {
		w.DataAccess = row.Text("SDDLText")
	}
	return nil
}

// add adds an entry to the layout.
func (d *describer) add(e packaging.Entry) {
	d.seen[e.Path] = true
	d.p.Layout = append(d.p.Layout, e)
}

func (d *describer) file(r msidb.Record, components map[string]msidb.Record) error {
	bad := func(format string, args ...any) error {
		return &FormatError{r.Key(), fmt.Errorf(format, args...)}
	}
	c, ok := components[r.Text("Component_")]
	if !ok {
		return bad("there is no component %q", r.Text("Component_"))
	}
	dir, err := d.path(c.Text("Directory_"), 0)
	if err != nil {
		return err
	}
	name := longName(r.Text("FileName"))
	if !plain(name) {
		return bad("name %q", name)
	}
	e := packaging.Entry{Path: path.Join(dir, name), Mode: 0o644, Size: int64(r.Int("FileSize"))}
	if e.Size < 0 {
		return bad("size %d", e.Size)
	}
	if c.Int("Attributes")&(neverOverwrite|permanent) == neverOverwrite|permanent {
		e.Config = packaging.ConfigNoReplace
	}
	if d.seen[e.Path] {
		return bad("%s is there already", e.Path)
	}
	d.add(e)
	d.files[r.Text("File")] = e.Path
	if c.Text("KeyPath") == r.Text("File") {
		d.programs[r.Text("Component_")] = e.Path
	}
	return nil
}

func (d *describer) services() {
	for r := range d.db.Rows("ServiceInstall") {
		s := packaging.WindowsService{
			Name: r.Text("Name"), DisplayName: r.Text("DisplayName"), Description: r.Text("Description"),
			Program: d.programs[r.Text("Component_")], Account: r.Text("StartName"),
			Start: map[int]packaging.ServiceStart{2: packaging.StartAuto, 3: packaging.StartDemand, 4: packaging.StartDisabled}[r.Int("StartType")],
		}
		if a := r.Text("Arguments"); a != "" {
			s.Arguments = []string{a}
		}
		for n := range strings.SplitSeq(r.Text("Dependencies"), "[~]") {
			if n != "" {
				s.Dependencies = append(s.Dependencies, n)
			}
		}
		for c := range d.db.Rows("MsiServiceConfig") {
			if c.Text("Name") == s.Name && c.Int("ConfigType") == configDelayed && c.Text("Argument") == "1" {
				s.Start = packaging.StartDelayed
			}
		}
		for c := range d.db.Rows("ServiceControl") {
			if c.Text("Name") == s.Name && c.Int("Event")&startInstall != 0 {
				s.AtInstall = true
			}
		}
		d.p.Windows.Services = append(d.p.Windows.Services, s)
	}
}

// registry reads the values, without those that every package of vpkg has.
func (d *describer) registry() {
	w := d.p.Windows
	own := d.property[nameProperty] != ""
	for r := range d.db.Rows("Registry") {
		v := registryValue(r)
		if !own || v.Key != stateKey(d.p.Name) || !slices.Contains(stateNames, v.Name) {
			w.Registry = append(w.Registry, v)
		}
	}
	slices.SortFunc(w.Registry, func(a, b packaging.RegistryValue) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
}

// registryValue reads a row of the table Registry: SDK, "Registry Table".
func registryValue(r msidb.Record) packaging.RegistryValue {
	v := packaging.RegistryValue{Key: r.Text("Key"), Name: r.Text("Name"), Type: "string", Value: r.Text("Value")}
	roots := map[int]string{-1: `HKMU\`, 0: `HKCR\`, 1: `HKCU\`, 3: `HKU\`} // in the names of WiX; HKLM is what others mean
	v.Key = roots[r.Int("Root")] + v.Key
	begins, ends := strings.HasPrefix(v.Value, "[~]"), strings.HasSuffix(v.Value, "[~]")
	switch {
	case r.IsNull("Value") && slices.Contains([]string{"+", "-", "*"}, v.Name):
		v.Type = "key"
	case strings.Contains(v.Value, "[~]"):
		switch v.Type = "multi"; {
		case begins && !ends:
			v.Type = "multi append"
		case ends && !begins:
			v.Type = "multi prepend"
		}
		v.Value = strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(v.Value, "[~]"), "[~]"), "[~]", "\n")
	case strings.HasPrefix(v.Value, "##"):
		v.Value = v.Value[1:]
	case strings.HasPrefix(v.Value, "#%"):
		v.Type, v.Value = "expand", v.Value[2:]
	case strings.HasPrefix(v.Value, "#x"), strings.HasPrefix(v.Value, "#X"):
		v.Type, v.Value = "binary", v.Value[2:]
	case strings.HasPrefix(v.Value, "#"):
		v.Type, v.Value = "dword", v.Value[1:]
	}
	return v
}

// environment reads the variables: SDK, "Environment Table".
func (d *describer) environment() {
	w := d.p.Windows
	for r := range d.db.Rows("Environment") {
		v := packaging.EnvironmentVariable{Name: r.Text("Name"), Value: r.Text("Value"), Action: "set"}
		name := strings.TrimLeft(v.Name, "=+-!*")
		marks := []byte(v.Name[:len(v.Name)-len(name)])
		if slices.Sort(marks); string(marks) == "*-=" { // as environment writes them
			v.Name = name
		}
		if value, ok := strings.CutPrefix(v.Value, "[~];"); ok {
			v.Value, v.Action = value, "append"
		} else if value, ok := strings.CutSuffix(v.Value, ";[~]"); ok {
			v.Value, v.Action = value, "prepend"
		}
		w.Environment = append(w.Environment, v)
	}
	slices.SortFunc(w.Environment, func(a, b packaging.EnvironmentVariable) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
}

// cabinets reads the cabinets that are in the package.
func (d *describer) cabinets(ctx context.Context, depth packaging.Depth) error {
	seen := make(map[string]bool) // keys of File
	embedded := true
	for r := range d.db.Rows("Media") {
		name, ok := strings.CutPrefix(r.Text("Cabinet"), "#")
		if !ok {
			embedded = embedded && name == "" && r.Int("LastSequence") == 0
			continue
		}
		if err := d.cabinet(ctx, name, depth, seen); err != nil {
			return err
		}
	}
	for key, p := range d.files {
		if embedded && !seen[key] {
			return &FormatError{"File." + key, fmt.Errorf("%s is in no cabinet", p)}
		}
	}
	return nil
}

func (d *describer) cabinet(ctx context.Context, name string, depth packaging.Depth, seen map[string]bool) error {
	c, err := d.c.cabinet(name)
	if err != nil {
		return err
	}
	for i := range c.Files {
		f := &c.Files[i]
		e, err := d.entry(f.Name)
		switch {
		case err != nil:
			return &FormatError{name, err}
		case e == nil: // an installation leaves it alone
			continue
		case seen[f.Name]:
			return &FormatError{name, fmt.Errorf("%q is there twice", f.Name)}
		case f.Size != e.Size:
			return &FormatError{name, fmt.Errorf("%s has %d bytes, and File says %d", e.Path, f.Size, e.Size)}
		}
		seen[f.Name] = true
		if !f.ModTime.Equal(d.p.Date.Truncate(2 * time.Second)) {
			e.ModTime = f.ModTime
		}
	}
	if depth == packaging.Headers {
		return nil
	}
	return d.contents(ctx, name, func(*packaging.Entry, io.Reader) error { return nil })
}

// entry is that of a file in a cabinet; nil if the tables do not have it.
func (d *describer) entry(key string) (*packaging.Entry, error) {
	p, ok := d.files[key]
	if !ok {
		return nil, nil
	}
	i, ok := slices.BinarySearchFunc(d.p.Layout, p, func(e packaging.Entry, p string) int { return strings.Compare(e.Path, p) })
	if !ok {
		return nil, fmt.Errorf("%s is not in the layout", p)
	}
	return &d.p.Layout[i], nil
}

// fileHashes are the MD5 sums of the table MsiFileHash.
func (d *describer) fileHashes() map[string][16]byte {
	sums := make(map[string][16]byte)
	for r := range d.db.Rows("MsiFileHash") {
		var sum [16]byte
		for i, column := range []string{"HashPart1", "HashPart2", "HashPart3", "HashPart4"} {
			binary.LittleEndian.PutUint32(sum[4*i:], uint32(r.Int(column)))
		}
		sums[r.Text("File_")] = sum
	}
	return sums
}
