package msidb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/msi/internal/cfb"
)

// run gives what a program prints.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	// msibuild and msiinfo take strings in the locale's code page.
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, stderr.Bytes())
	}
	return string(out)
}

// stream is one of a string.
func stream(name, content string) Stream {
	return Stream{Name: name, Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}}
}

// sample is a small package's database.
func sample() *Database {
	d := &Database{
		Codepage: 1252,
		Summary: Summary{
			Codepage: 1252, Title: "Installation Database", Subject: "Agent – größer", Author: "Vpkg",
			Keywords: "Installer", Comments: "Nothing", Template: "x64;1033",
			PackageCode: "{3D8C0B0E-6C0E-4B7B-9F0D-0123456789AB}",
			Created:     time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC), Saved: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC),
			Schema: 500, Source: 2, Application: "vpkg", Security: 2,
		},
		Streams: []Stream{stream("Binary.hook", "program"), stream("product.cab", strings.Repeat("MSCF", 2000))},
	}
	d.Add("Property", "ProductName", "Agent – größer")
	d.Add("Property", "ProductVersion", "1.2.3")
	d.Add("Property", "Manufacturer", "Vpkg")
	d.Add("Directory", "TARGETDIR", nil, "SourceDir")
	d.Add("Directory", "INSTALLDIR", "TARGETDIR", "AGENT|Agent")
	d.Add("Component", "agent", "{11111111-2222-3333-4444-555555555555}", "INSTALLDIR", 256, nil, "agent.exe")
	d.Add("File", "agent.exe", "agent", "agent.exe", 70000, "1.2.3.0", "1033", 512, 1)
	d.Add("Feature", "Main", nil, "Agent", nil, 1, 1, "INSTALLDIR", 0)
	d.Add("FeatureComponents", "Main", "agent")
	d.Add("Media", 1, 1, nil, "#product.cab", nil, nil)
	d.Add("Binary", "hook", true)
	d.Add("Upgrade", "{99999999-2222-3333-4444-555555555555}", "0.0.0", "1.2.3", nil, 256, nil, "OLDERFOUND")
	d.Add("Registry", "r1", 2, `Software\Vpkg`, "Value", "#1", "agent")
	d.Add("MsiFileHash", "agent.exe", 0, -5, 2147483647, -2147483647, 7)
	AddValidation(d)
	return d
}

// encode writes a database into memory.
func encode(t *testing.T, d *Database) []byte {
	t.Helper()
	streams, err := Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := cfb.Write(&b, Root(), streams); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(t *testing.T, b []byte) *Database {
	t.Helper()
	d, err := Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func writeFile(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.msi")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// content reads a stream.
func content(t *testing.T, s Stream) string {
	t.Helper()
	r, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// diff compares databases, except for the order of rows, which Encode chooses.
func diff(t *testing.T, got, want *Database) string {
	t.Helper()
	sortRows := cmpopts.SortSlices(func(a, b Row) bool { return compareKeys(a, b, len(a)) < 0 })
	s := cmp.Diff(got, want, sortRows, cmpopts.IgnoreFields(Database{}, "File", "Streams"))
	names := func(d *Database) map[string]string {
		m := make(map[string]string)
		for _, s := range d.Streams {
			m[s.Name] = content(t, s)
		}
		return m
	}
	return s + cmp.Diff(names(got), names(want))
}

func TestRoundTrip(t *testing.T) {
	want := sample()
	got := read(t, encode(t, want))
	if d := diff(t, got, want); d != "" {
		t.Error(d)
	}
}

// compareMsiinfo checks that msiinfo reads the same tables from a file as Read does.
func compareMsiinfo(t *testing.T, path string, d *Database) {
	t.Helper()
	var names []string
	for _, table := range d.Tables {
		names = append(names, table.Name)
		var b bytes.Buffer
		if err := WriteIDT(&b, table); err != nil {
			t.Fatal(err)
		}
		want := run(t, "msiinfo", "export", path, table.Name)
		// For a stream msiinfo has its name, and the SDK that of a file: TABLE.KEY, KEY.ibd.
		for key := range d.Rows(table.Name) {
			if !slices.ContainsFunc(table.Columns, func(c Column) bool { return c.Type.Stream() }) {
				break
			}
			want = strings.ReplaceAll(want, "\t"+key.Key()+"\r\n", "\t"+strings.TrimPrefix(key.Key(), table.Name+".")+".ibd\r\n")
		}
		if b.String() != want {
			t.Errorf("%s: %s", table.Name, cmp.Diff(b.String(), want))
		}
	}
	want := strings.Fields(run(t, "msiinfo", "tables", path))
	want = slices.DeleteFunc(want, func(s string) bool { return s == "_SummaryInformation" || s == "_ForceCodepage" })
	slices.Sort(want)
	if d := cmp.Diff(names, want); d != "" {
		t.Error(d)
	}
}

func TestMsiinfo(t *testing.T) {
	oracle.Need(t, "msiinfo")
	d := sample()
	d.Streams[1] = stream("product.cab", strings.Repeat("MSCF", 2<<20)) // large enough for a DIFAT
	b := encode(t, d)
	path := writeFile(t, b)
	compareMsiinfo(t, path, read(t, b))

	// msiinfo prints the bytes of the code page.
	want := "" +
		"Title: Installation Database\n" +
		"Subject: Agent \x96 gr\xf6\xdfer\n" +
		"Author: Vpkg\n" +
		"Keywords: Installer\n" +
		"Comments: Nothing\n" +
		"Template: x64;1033\n" +
		"Revision number (UUID): {3D8C0B0E-6C0E-4B7B-9F0D-0123456789AB}\n" +
		"Created: Fri Jan  2 03:04:05 2026\n" +
		"Last saved: Fri Jan  2 03:04:06 2026\n" +
		"Version: 500 (1f4)\n" +
		"Source: 2 (2)\n" +
		"Application: vpkg\n" +
		"Security: 2 (2)\n"
	if d := cmp.Diff(strings.TrimSpace(run(t, "msiinfo", "suminfo", path)), strings.TrimSpace(want)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(strings.Fields(run(t, "msiinfo", "streams", path)), []string{"Binary.hook", "product.cab", "\x05SummaryInformation"}); d != "" {
		t.Error(d)
	}
	for _, s := range d.Streams {
		if got := run(t, "msiinfo", "extract", path, s.Name); got != content(t, s) {
			t.Errorf("msiinfo extracts other content of %s", s.Name)
		}
	}
}

// TestMsibuild takes a database apart, and lets msibuild put it together again.
func TestMsibuild(t *testing.T) {
	oracle.Need(t, "msidump", "msibuild", "msiinfo")
	want := sample()
	dir := t.TempDir()
	run(t, "msidump", "-t", "-s", "-d", dir, writeFile(t, encode(t, want)))
	tables, err := filepath.Glob(filepath.Join(dir, "*.idt"))
	if err != nil {
		t.Fatal(err)
	}
	// A table with a stream column names the streams, which are files in a folder of
	// the table's name.
	if err := os.Rename(filepath.Join(dir, "_Streams"), filepath.Join(dir, "Binary")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "new.msi")
	args := []string{path, "-i"}
	args = append(append(args, tables...), "-a", "product.cab", filepath.Join(dir, "Binary", "product.cab"))
	run(t, "msibuild", args...)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, b)
	compareMsiinfo(t, path, got)
	// IDT has no fractions of seconds.
	want.Summary.Created = want.Summary.Created.Truncate(time.Second)
	if d := diff(t, got, want); d != "" {
		t.Error(d)
	}
}

// TestForeign reads packages that other programs made, and writes them again.
func TestForeign(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T) string
	}{
		{"relic's dummy.msi, by WiX 3.10", func(t *testing.T) string {
			return filepath.Join(oracle.Module(t, "github.com/sassoftware/relic/v8@v8.2.0"), "functest", "packages", "dummy.msi")
		}},
		{"wixl", func(t *testing.T) string {
			oracle.Need(t, "wixl")
			path := filepath.Join(t.TempDir(), "wixl.msi")
			run(t, "wixl", "-o", path, filepath.Join("testdata", "wixl.wxs"))
			return path
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			oracle.Need(t, "msiinfo")
			path := tt.make(t)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			d := read(t, b)
			compareMsiinfo(t, path, d)
			for _, table := range d.Tables {
				if columns, ok := Schema(table.Name); !ok {
					t.Errorf("the catalogue has no %s", table.Name)
				} else if d := cmp.Diff(columns, table.Columns); d != "" {
					t.Errorf("%s: %s", table.Name, d)
				}
			}
			if diff := diff(t, read(t, encode(t, d)), d); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestReferenceCounts compares the counts in a string pool with those of Windows
// Installer, which made relic's package.
func TestReferenceCounts(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(oracle.Module(t, "github.com/sassoftware/relic/v8@v8.2.0"), "functest", "packages", "dummy.msi"))
	if err != nil {
		t.Fatal(err)
	}
	counts := func(d *Database) map[string]uint16 {
		var pool, data string
		for _, s := range d.File.Streams {
			switch name, _ := unpack(s.Name); name {
			case "_StringPool":
				pool = content(t, Stream{Open: s.Open})
			case "_StringData":
				data = content(t, Stream{Open: s.Open})
			}
		}
		le := binary.LittleEndian
		m := make(map[string]uint16)
		for at := 4; at < len(pool); at += 4 {
			n := le.Uint16([]byte(pool[at:]))
			if refs := le.Uint16([]byte(pool[at+2:])); refs > 0 {
				m[data[:n]] = refs
			}
			data = data[n:]
		}
		return m
	}
	d := read(t, b)
	if diff := cmp.Diff(counts(read(t, encode(t, d))), counts(d)); diff != "" {
		t.Error(diff)
	}
}

// TestWide has so many strings that their numbers take three bytes, one longer than
// 64 KiB, and one that more cells have than a count can say.
func TestWide(t *testing.T) {
	oracle.Need(t, "msiinfo")
	for _, n := range []int{65529, 65530, 70000} {
		d := &Database{Summary: Summary{Schema: 500}}
		d.Add("Property", "Long", strings.Repeat("0123456789abcdef", 5000))
		for i := range n {
			d.Add("Property", fmt.Sprintf("P%06d", i), "value")
		}
		b := encode(t, d)
		got := read(t, b)
		if !slices.EqualFunc(got.Table("Property").Rows, d.Table("Property").Rows, func(a, b Row) bool { return slices.Equal(a, b) }) {
			t.Errorf("%d rows: others are read", n)
		}
		compareMsiinfo(t, writeFile(t, b), got)
	}
}

// TestOrder checks that the order of rows and streams does not show.
func TestOrder(t *testing.T) {
	d := sample()
	want := encode(t, d)
	for _, table := range d.Tables {
		slices.Reverse(table.Rows)
	}
	if !bytes.Equal(encode(t, d), want) {
		t.Error("other bytes for another order of rows")
	}
}

func TestEncodeErrors(t *testing.T) {
	d := &Database{Streams: []Stream{stream("\x05SummaryInformation", "x"), stream(strings.Repeat("x", 63), "x")}}
	d.Add("Property", "A", nil)
	d.Add("Property", "B", "größer")
	d.Add("Property", "C", "1")
	d.Add("Property", "C", "2")
	d.Add("Property", strings.Repeat("D", 73), "1")
	d.Add("Property", "H", strings.Repeat("ü", 100))
	d.Add("Media", 1, -1<<31)
	d.Add("Feature", "Main", nil, nil, nil, 1, 1<<15)
	d.Add("CreateFolder", "a.b", "c")
	d.Add("CreateFolder", "a", "b.c")
	d.Add("Binary", "hook", true)
	d.Table("Property").Rows = append(d.Table("Property").Rows, Row{"E"}, Row{"F", int32(1)}, Row{"G", 1.5})
	key := mustType("s72") | TypeKey
	d.Tables = append(d.Tables, &Table{Name: "Empty"},
		&Table{Name: "Odd", Columns: []Column{{"A", 0x2503}}},
		&Table{Name: "_Streams", Columns: []Column{{"A", key}}},
		&Table{Name: strings.Repeat("y", 61), Columns: []Column{{"A", key}}},
		&Table{Name: "Twice", Columns: []Column{{"A", key}, {"A", mustType("i2")}, {"B", key}}})
	_, err := Encode(d)
	want := []string{
		`encoding an installer database: table "Empty": it has no columns, or the first is no key`,
		`table "Odd": column "A": type 0x2503`,
		`table "Twice": two columns are named "A", or one has no name`,
		`table "Twice": the key "B" follows a column that is none`,
		`table "_Streams": the name is taken`,
		`table "` + strings.Repeat("y", 61) + `": the name is too long`,
		`row "Feature.Main", column Level: 32768 is not within ±32767`,
		`row "Feature.Main", column Attributes: it must not be null`,
		`row "Media.1", column LastSequence: -2147483648 is not within ±2147483647`,
		`row "Property.A", column Value: it must not be null`,
		`row "Property.B", column Value: "größer": code page 0 has ASCII alone; choose 1252 or 65001`,
		`row "Property.C": there are two of this key`,
		`row "Property.` + strings.Repeat("D", 73) + `", column Property: "` + strings.Repeat("D", 73) + `" has 73 characters, and may have 72`,
		`row "Property.E": 1 values for 2 columns`,
		`row "Property.F", column Value: a column of type l0 cannot hold 1`,
		`row "Property.G", column Value: a column of type l0 cannot hold 1.5`,
		`row "Property.H", column Value: "` + strings.Repeat("ü", 50) + `…": code page 0 has ASCII alone; choose 1252 or 65001`,
		`stream name "\x05SummaryInformation" is taken`,
		`stream name "` + strings.Repeat("x", 63) + `" takes 32 units, and may take 1 to 31`,
		`row "Binary.hook", column Data: there is no stream of this name`,
	}
	if d := cmp.Diff(strings.Split(fmt.Sprint(err), "\n"), want); d != "" {
		t.Error(d)
	}

	d = &Database{Codepage: 12345}
	if _, err := Encode(d); fmt.Sprint(err) != "encoding an installer database: code page 12345 is not supported" {
		t.Error(err)
	}
}

func TestCheckReferences(t *testing.T) {
	d := sample()
	if err := CheckReferences(d); err != nil {
		t.Error(err)
	}
	d.Add("Component", "other", nil, "NODIR", 0, nil, "nothing")
	d.Add("Dialog", "D", 0, 0, 1, 1, nil, nil, "OK")
	d.Add("Dialog", "E", 0, 0, 1, 1, nil, nil, "OK")
	d.Add("Control", "D", "OK", "PushButton", 1, 1, 1, 1)
	want := `row "Component.other", column Directory_: "NODIR" is not in the table Directory
row "Component.other", column KeyPath: "nothing" is not in the table File or Registry or ODBCDataSource
row "Dialog.E", column Control_First: "OK" is not in the table Control`
	if got := fmt.Sprint(CheckReferences(d)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRecord(t *testing.T) {
	d := sample()
	d.Add("Upgrade", "{x}", "1", nil, nil, 1, nil, "P")
	for r := range d.Rows("Upgrade") {
		if r.Text("UpgradeCode") != "{x}" {
			continue
		}
		if got := r.Key(); got != "Upgrade.{x}.1...1" {
			t.Errorf("key %q", got)
		}
		if r.Int("Attributes") != 1 || r.Text("Attributes") != "" || r.Int("VersionMin") != 0 {
			t.Errorf("attributes %d", r.Int("Attributes"))
		}
		if !r.IsNull("VersionMax") || !r.IsNull("Nothing") || r.IsNull("VersionMin") || r.IsNull("Attributes") {
			t.Error("other nulls")
		}
	}
	if d.Table("Nothing") != nil {
		t.Error("a table Nothing")
	}
	for range d.Rows("Nothing") {
		t.Error("a row of Nothing")
	}
	for range d.Rows("_Validation") {
		break // which Rows must allow
	}
	if s := d.Stream("Binary.hook"); s == nil || content(t, *s) != "program" {
		t.Errorf("Binary.hook is %v", s)
	}
	if s := d.Stream("Nothing"); s != nil {
		t.Errorf("Nothing is %v", s)
	}
}

func TestReadStream(t *testing.T) {
	d := read(t, encode(t, sample()))
	b := make([]byte, 4)
	if n, err := d.Stream("product.cab").At.ReadAt(b, 7996); n != 4 || err != nil || string(b) != "MSCF" {
		t.Errorf("read %q, %v", b[:n], err)
	}
	if d.File.Root != Root() || len(d.File.Streams) != 3+2+len(d.Tables)+len(d.Streams) {
		t.Errorf("the file has the class %x and %d streams", d.File.Root, len(d.File.Streams))
	}
}

func TestAddPanics(t *testing.T) {
	tests := []struct {
		table  string
		values []any
	}{
		{"Nothing", nil},
		{"Property", []any{"A", "B", "C"}},
		{"Property", []any{"A", 1}},
		{"Media", []any{"A"}},
		{"Media", []any{1 << 40}},
		{"Binary", []any{"A", "B"}},
		{"Property", []any{true}},
		{"Property", []any{1.5}},
	}
	for _, tt := range tests {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s %v does not panic", tt.table, tt.values)
				}
			}()
			new(Database).Add(tt.table, tt.values...)
		}()
	}
}

func TestStreamName(t *testing.T) {
	tests := []struct {
		name string
		want []uint16
	}{
		{"_Tables", []uint16{0x3f7f, 0x4164, 0x422f, 0x4836}},
		{"a", []uint16{0x4824}},
		{"Binary.x y", nil},
		{"\x05DigitalSignature", rawName("\x05DigitalSignature")},
		{"größe", nil},
		{"日本", rawName("日本")},
	}
	for _, tt := range tests {
		got, err := StreamName(tt.name)
		if err != nil {
			t.Error(err)
		}
		if tt.want != nil && !slices.Equal(got, tt.want) {
			t.Errorf("%q is %x, want %x", tt.name, got, tt.want)
		}
		if name, _ := unpack(got); name != tt.name {
			t.Errorf("%q is read as %q", tt.name, name)
		}
	}
	if name, table := unpack(tableStreamName("File")); name != "File" || !table {
		t.Errorf("the table File is read as %q, %v", name, table)
	}
}

func TestCodepages(t *testing.T) {
	for number, text := range map[int]string{
		0: "ASCII", 437: "é", 850: "ø", 852: "ł", 866: "ж", 874: "ก", 932: "日本", 936: "中国", 949: "한국", 950: "中國", 1250: "ł",
		1251: "ж", 1252: "–", 1253: "λ", 1254: "ş", 1255: "ש", 1256: "ش", 1257: "ė", 1258: "ơ", 65001: "😀",
	} {
		d := &Database{Codepage: number, Summary: Summary{Codepage: number, Title: text}}
		d.Add("Property", "A", text)
		if d := diff(t, read(t, encode(t, d)), d); d != "" {
			t.Errorf("%d: %s", number, d)
		}
	}
	for _, tt := range []struct {
		codepage int
		bytes    string
		want     string
	}{
		{0, "gr\xc3\xb6\xc3\x9fer", "größer"},
		{0, "gr\xf6\xdfer", "größer"},
		{65001, "\xff", "\ufffd"},
	} {
		if got := decodeText(tt.codepage, []byte(tt.bytes)); got != tt.want {
			t.Errorf("code page %d: %q is %q, want %q", tt.codepage, tt.bytes, got, tt.want)
		}
	}
	if _, err := encodeText(1252, "日"); err == nil {
		t.Error("1252 has 日")
	}
}
