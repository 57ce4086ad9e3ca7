package msi

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/msi/internal/cab"
	"github.com/vpkg/vpkg/msi/internal/cfb"
	"github.com/vpkg/vpkg/msi/internal/ice"
	"github.com/vpkg/vpkg/msi/internal/msidb"
	"github.com/vpkg/vpkg/packaging"
)

// Contents is an open package of any maker, to be looked at table by table. Its
// database is read once, and so is each cabinet: Check needs no more of them than
// Package found.
type Contents struct {
	db       *msidb.Database
	cabinets map[string]*cab.Reader // that were opened, by name
	decoded  map[string]bool        // those of which all files were read
}

// Open reads the database of a package of size bytes. r is read for as long as the
// Contents are used.
func Open(r io.ReaderAt, size int64) (*Contents, error) {
	db, err := readDatabase(r, size)
	if err != nil {
		return nil, err
	}
	return &Contents{db: db, cabinets: make(map[string]*cab.Reader), decoded: make(map[string]bool)}, nil
}

// Package gives what [Format.Read] gives.
func (c *Contents) Package(ctx context.Context, depth packaging.Depth) (*packaging.Package, error) {
	d, err := c.describe(ctx, depth)
	if err != nil {
		return nil, err
	}
	return d.p, ctx.Err()
}

// cabinet opens a cabinet of the package.
func (c *Contents) cabinet(name string) (*cab.Reader, error) {
	if z, ok := c.cabinets[name]; ok {
		return z, nil
	}
	s := c.db.Stream(name)
	if s == nil || s.At == nil {
		return nil, &FormatError{name, errors.New("there is no such cabinet in the package")}
	}
	z, err := cab.Open(s.At, s.Size)
	if err != nil {
		return nil, &FormatError{name, err}
	}
	c.cabinets[name] = z
	return z, nil
}

// A Table is one of a package's.
type Table struct {
	Name string
	Rows int
}

// Tables lists the tables by name.
func (c *Contents) Tables() []Table {
	var ts []Table
	for _, t := range c.db.Tables {
		ts = append(ts, Table{t.Name, len(t.Rows)})
	}
	return ts
}

// WriteTable writes a table in the archive format of the SDK's tools, IDT.
func (c *Contents) WriteTable(w io.Writer, name string) error {
	t := c.db.Table(name)
	if t == nil {
		return fmt.Errorf("the package has no table %q", name)
	}
	return msidb.WriteIDT(w, t)
}

// A Property is one of the summary information, or of the table Property.
type Property struct{ Name, Value string }

// Properties lists those of the table Property by name.
func (c *Contents) Properties() []Property {
	all := properties(c.db)
	var ps []Property
	for _, name := range slices.Sorted(maps.Keys(all)) {
		ps = append(ps, Property{name, all[name]})
	}
	return ps
}

// Summary lists the summary information.
func (c *Contents) Summary() []Property {
	s := c.db.Summary
	when := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	all := []Property{
		{"Title", s.Title},
		{"Subject", s.Subject},
		{"Author", s.Author},
		{"Keywords", s.Keywords},
		{"Comments", s.Comments},
		{"Template", s.Template},
		{"Last author", s.LastAuthor},
		{"Package code", s.PackageCode},
		{"Created", when(s.Created)},
		{"Saved", when(s.Saved)},
		{"Installer", fmt.Sprintf("%d.%d or later", s.Schema/100, s.Schema%100)},
		{"Source", fmt.Sprint(s.Source)},
		{"Application", s.Application},
		{"Security", fmt.Sprint(s.Security)},
		{"Codepage", fmt.Sprint(c.db.Codepage)},
	}
	return slices.DeleteFunc(all, func(p Property) bool { return p.Value == "" })
}

// A Stream is what a package has beside its tables.
type Stream struct {
	Name string
	Size int64 // bytes
}

// Streams lists cabinets, binaries and signatures.
func (c *Contents) Streams() []Stream {
	var ss []Stream
	for _, s := range c.db.Streams {
		ss = append(ss, Stream{strings.TrimPrefix(s.Name, "\x05"), s.Size})
	}
	return ss
}

// An Action is one of a sequence.
type Action struct {
	Number    int
	Name      string
	Condition string // empty means always
	Does      string // of a custom action: "deferred, as the system: runs Binary.hook"
	Target    string // its command line or value
}

// Actions gives the actions of a sequence's table, such as InstallExecuteSequence,
// in the order in which they run. Those with numbers below 1 run only at the end, and
// come last.
func (c *Contents) Actions(sequence string) []Action {
	custom := make(map[string]msidb.Record)
	for r := range c.db.Rows("CustomAction") {
		custom[r.Text("Action")] = r
	}
	var as []Action
	for r := range c.db.Rows(sequence) {
		a := Action{Number: r.Int("Sequence"), Name: r.Text("Action"), Condition: r.Text("Condition")}
		if x, ok := custom[a.Name]; ok {
			a.Does, a.Target = describeAction(x.Int("Type"), x.Text("Source")), x.Text("Target")
		}
		as = append(as, a)
	}
	slices.SortStableFunc(as, func(a, b Action) int {
		if (a.Number < 1) != (b.Number < 1) {
			return b.Number - a.Number
		}
		return a.Number - b.Number
	})
	return as
}

// describeAction says in words what a type of custom action is, SDK "Summary List of
// All Custom Action Types".
func describeAction(kind int, source string) string {
	var words []string
	when := ""
	if kind&inScript != 0 {
		switch when = "deferred"; {
		case kind&rollback != 0:
			when = "rollback"
		case kind&commit != 0:
			when = "commit"
		}
		words = append(words, when)
		if kind&asSystem != 0 {
			words = append(words, "as the system")
		}
	}
	if kind&ignoreResult != 0 {
		words = append(words, "result ignored")
	}
	if kind&hideTarget != 0 {
		words = append(words, "hidden in logs")
	}
	does := fmt.Sprintf("type %d on %s", kind&0x3f, source)
	switch kind & 0x3f {
	case 1:
		does = "calls the DLL Binary." + source
	case 2:
		does = "runs Binary." + source
	case 5, 6:
		does = "runs the script Binary." + source
	case 17, 21, 22:
		does = "calls the file " + source
	case 18:
		does = "runs the file " + source
	case 19:
		does = "fails"
	case 34:
		does = "runs a command in " + source
	case 35:
		does = "sets the folder " + source
	case 50:
		does = "runs what property " + source + " names"
	case 51:
		does = "sets " + source
	}
	if len(words) == 0 {
		return does
	}
	return strings.Join(words, ", ") + ": " + does
}

// A Finding is what is wrong with a package at one place.
type Finding struct {
	Rule    string // "ICE03", or "VPKG02" for one of the project's own
	Warning bool   // false means an error
	Where   string // table, key and column; empty for the whole package
	Text    string // one line
}

// Check looks for mistakes: those of the SDK's consistency evaluators that can be seen
// without Windows, and of rules of the project's own. See docs/msi-rules.md.
func (c *Contents) Check(ctx context.Context) ([]Finding, error) {
	contents, err := c.look(ctx)
	if err != nil {
		return nil, err
	}
	var fs []Finding
	for _, f := range ice.Check(c.db, contents) {
		fs = append(fs, Finding{f.Rule, f.Severity == ice.Warning, f.Where, f.Text})
	}
	return fs, nil
}

// look reads the cabinets of the package.
func (c *Contents) look(ctx context.Context) (ice.Contents, error) {
	var contents ice.Contents
	for r := range c.db.Rows("Media") {
		name, embedded := strings.CutPrefix(r.Text("Cabinet"), "#")
		if !embedded || c.db.Stream(name) == nil { // a rule tells of the latter
			continue
		}
		z, err := c.cabinet(name)
		if err != nil {
			return ice.Contents{}, err
		}
		if !c.decoded[name] {
			if err := z.Each(ctx, func(_ *cab.Entry, body io.Reader) error {
				_, err := io.Copy(io.Discard, body)
				return err
			}); err != nil {
				return ice.Contents{}, &FormatError{name, err}
			}
			c.decoded[name] = true
		}
		x := ice.Cabinet{Name: name}
		for _, f := range z.Files {
			x.Files = append(x.Files, ice.CabinetFile{Name: f.Name, Size: f.Size})
		}
		if z.Incomplete.Frames > 0 {
			x.IncompleteTrees = []int{z.Incomplete.Frame}
		}
		contents.Cabinets = append(contents.Cabinets, x)
	}
	return contents, nil
}

// ListSignatures gives the stream with the signature, if there is one.
func (c *Contents) ListSignatures() []packaging.Signature {
	var list []packaging.Signature
	for i := range c.db.File.Streams {
		if s := &c.db.File.Streams[i]; hasName(s, signatureStream) {
			list = append(list, packaging.Signature{Name: strings.TrimPrefix(signatureStream, "\x05"), Kind: "Authenticode", Covers: "package", Size: s.Size})
		}
	}
	return list
}

// Signature checks the package's signature: that nothing has changed since it was
// made and, if roots is not nil, that one of them vouches for its signer. A package
// without one is sign.ErrUnsigned.
func (c *Contents) Signature(ctx context.Context, roots *x509.CertPool) (*sign.Signature, error) {
	var signature []byte
	var ex *cfb.Stream
	for i := range c.db.File.Streams {
		switch s := &c.db.File.Streams[i]; {
		case hasName(s, signatureExStream):
			ex = s
		case hasName(s, signatureStream):
			var err error
			if signature, err = readStream(s, maxSignature); err != nil {
				return nil, err
			}
		}
	}
	if signature == nil {
		return nil, sign.ErrUnsigned
	}
	if err := noStorages(c.db.File); err != nil {
		return nil, err
	}
	digest, want, err := imprint(ctx, c.db.File.Root, c.db.File.Streams, ex != nil)
	if err != nil {
		return nil, err
	}
	if ex != nil {
		got, err := readStream(ex, int64(len(want)))
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(got, want[:]) {
			return nil, fmt.Errorf("names or sizes of its streams: %w", sign.ErrChanged)
		}
	}
	return sign.VerifyMSI(signature, digest, roots)
}

// maxSignature bounds what is read of a signature, in bytes.
const maxSignature = 4 << 20

func readStream(s *cfb.Stream, most int64) ([]byte, error) {
	if s.Size > most {
		return nil, &FormatError{string(utf16.Decode(s.Name)), fmt.Errorf("it has %d bytes, and at most %d were expected", s.Size, most)}
	}
	b := make([]byte, s.Size)
	if _, err := s.At.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}
