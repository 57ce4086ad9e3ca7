package msidb

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vpkg/vpkg/msi/internal/cfb"
)

// annotated gives the bytes of hexadecimal text with comments after //.
func annotated(t *testing.T, s string) []byte {
	t.Helper()
	s = regexp.MustCompile(`//.*|\s`).ReplaceAllString(s, "")
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFormat has all streams of a small database.
func TestFormat(t *testing.T) {
	d := &Database{
		Codepage: 1252,
		Summary:  Summary{Codepage: 1252, Title: "ü", Created: time.Date(1601, 1, 1, 0, 0, 1, 0, time.UTC), Source: 2},
		Streams:  []Stream{stream("Icon.b", "icon")},
	}
	d.Add("Icon", "b", true)
	d.Add("Error", 2, "b")
	d.Add("Error", 1, nil)
	d.Add("PatchPackage", "x", -3)
	streams, err := Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"\x05SummaryInformation": `
			feff 0000 06000200 00000000000000000000000000000000 01000000
			e0859ff2f94f6810ab9108002b27b3d9 30000000
			50000000 04000000 // 80 bytes, 4 properties
			01000000 28000000
			02000000 30000000
			0c000000 3c000000
			0f000000 48000000
			02000000 e4040000 // VT_I2 1252
			1e000000 02000000 fc000000 // VT_LPSTR of 2 bytes
			40000000 8096980000000000 // VT_FILETIME of a second
			03000000 02000000 // VT_I4 2
		`,
		// Names of tables and their columns first, then the cells.
		"_StringData": hex.EncodeToString([]byte("ErrorIconPatchPackageMessageNameDataPatchIdMedia_bx")),
		"_StringPool": `
			e404 0000 // 1252, numbers of two bytes
			0500 0400 // 1 Error: table, in _Columns twice, and column
			0400 0300 // 2 Icon
			0c00 0300 // 3 PatchPackage
			0700 0100 // 4 Message
			0400 0100 // 5 Name
			0400 0100 // 6 Data
			0700 0100 // 7 PatchId
			0600 0100 // 8 Media_
			0100 0200 // 9 b
			0100 0100 // 10 x
		`,
		"_Tables": `0100 0200 0300`,
		"_Columns": `
			0100 0100 0200 0200 0300 0300 // table
			0180 0280 0180 0280 0180 0280 // number
			0100 0400 0500 0600 0700 0800 // name
			02a5 009f 48ad 0089 26ad 0285 // type: i2*, L0, s72*, v0, s38*, i2
		`,
		"Error":        `0180 0280 0000 0900`,
		"Icon":         `0900 0100`,
		"PatchPackage": `0a00 fd7f`,
		"Icon.b":       hex.EncodeToString([]byte("icon")),
	}
	var names []string
	for _, s := range streams {
		name, _ := unpack(s.Name)
		names = append(names, name)
		if got := content(t, Stream{Open: s.Open}); !bytes.Equal([]byte(got), annotated(t, want[name])) || int64(len(got)) != s.Size {
			t.Errorf("%q of %d bytes is\n%x, want\n%x", name, s.Size, got, annotated(t, want[name]))
		}
	}
	if d := cmp.Diff(names, []string{"\x05SummaryInformation", "_StringData", "_StringPool", "_Tables", "_Columns", "Error", "Icon", "PatchPackage", "Icon.b"}); d != "" {
		t.Error(d)
	}
}

func TestSummary(t *testing.T) {
	for _, s := range []Summary{
		{},
		{Codepage: 65001, Title: "日本", Schema: -1, Source: 1<<31 - 1},
		{Created: time.Date(2026, 1, 2, 3, 4, 5, 999999900, time.UTC), Saved: time.Date(30000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		b, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeSummary(b)
		if err != nil || got != s {
			t.Errorf("%+v is read as %+v, %v", s, got, err)
		}
	}
	for _, tt := range []struct {
		s    Summary
		want string
	}{
		{Summary{Codepage: 1}, "code page 1 is not supported"},
		{Summary{Title: "ü", Subject: "ü"}, "property 2: \"ü\": code page 0 has ASCII alone; choose 1252 or 65001\nproperty 3: \"ü\": code page 0 has ASCII alone; choose 1252 or 65001"},
		{Summary{Schema: 1 << 40}, "property 14: 1099511627776 does not fit into 32 bits"},
		{Summary{Saved: time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC)}, "property 13: the time 1600-01-01 00:00:00 +0000 UTC is out of range"},
		{Summary{Saved: time.Date(70000, 1, 1, 0, 0, 0, 0, time.UTC)}, "property 13: the time 70000-01-01 00:00:00 +0000 UTC is out of range"},
	} {
		if _, err := tt.s.encode(); fmt.Sprint(err) != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	if got := fromFiletime(math.MaxUint64).Year(); got != 60056 {
		t.Errorf("the last time is in %d", got)
	}
}

func TestHostileSummary(t *testing.T) {
	le := binary.LittleEndian
	s := Summary{Codepage: 1252, Title: "Title", Created: time.Unix(1, 0), Source: 2}
	good, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(b []byte) []byte
		want   string
	}{
		{"nothing", func([]byte) []byte { return nil }, "does not begin"},
		{"format", func(b []byte) []byte { b[28]++; return b }, "does not begin"},
		{"property set", func(b []byte) []byte { le.PutUint32(b[44:], 0xffffffff); return b }, "ends before the property set"},
		{"count", func(b []byte) []byte { le.PutUint32(b[52:], 0xffffffff); return b }, "4294967295 properties do not fit"},
		{"offset", func(b []byte) []byte { le.PutUint32(b[60:], 0xffffffff); return b }, "property 1 is beyond the end"},
		{"offset at the end", func(b []byte) []byte { le.PutUint32(b[60:], uint32(len(b)-48)); return b }, "property 1: it is cut off"},
		{"code page", func(b []byte) []byte { b[48+0x2c] = 1; return b }, "property 1: code page 1025 is not supported"},
		{"string", func(b []byte) []byte { le.PutUint32(b[48+0x34:], 0xffffffff); return b }, "property 2: a string of 4294967295 bytes"},
		{"time", func(b []byte) []byte {
			le.PutUint32(b[48+12+16:], uint32(len(b)-48-8))
			le.PutUint32(b[len(b)-8:], typeFiletime)
			return b
		}, "property 12: it is cut off"},
	}
	for _, tt := range tests {
		if _, err := decodeSummary(tt.change(slices.Clone(good))); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestHostile has streams that contradict each other.
func TestHostile(t *testing.T) {
	d := &Database{}
	d.Add("Property", "A", "1")
	good, err := Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	set := func(name, content string) func(s []cfb.Stream) []cfb.Stream {
		return func(s []cfb.Stream) []cfb.Stream {
			b := annotated(t, content)
			at := slices.IndexFunc(s, func(s cfb.Stream) bool { n, _ := unpack(s.Name); return n == name })
			s[at] = memory(s[at].Name, b)
			return s
		}
	}
	add := func(name []uint16) func(s []cfb.Stream) []cfb.Stream {
		return func(s []cfb.Stream) []cfb.Stream { return append(s, memory(name, nil)) }
	}
	tests := []struct {
		name   string
		change func(s []cfb.Stream) []cfb.Stream
		want   string
	}{
		{"summary", set("\x05SummaryInformation", "00"), "summary information: it does not begin"},
		{"no pool", func(s []cfb.Stream) []cfb.Stream { return slices.Delete(s, 2, 3) }, "there is no string pool"},
		{"pool without a header", set("_StringPool", "0000"), "the string pool has no header"},
		{"code page", set("_StringPool", "01000000"), "code page 1 is not supported"},
		{"string beyond the data", set("_StringPool", "00000000 ff000100"), "string 1 has 255 bytes, and 15 are left"},
		{"long string", set("_StringPool", "00000000 00000100 ffffffff"), "string 1 has 4294967295 bytes, and 15 are left"},
		{"half a row", set("_Tables", "01"), `table "_Tables": 1 bytes are no number of rows of 2 bytes`},
		{"string that is not there", set("_Tables", "ff00"), `table "_Tables", row 1, column Name: string 255 of 4`},
		{"table without columns", set("_Columns", ""), `table "Property" has no columns`},
		{"table twice", set("_Tables", "01000100"), `there are two tables "Property"`},
		{"column number", set("_Columns", "0100 0280 0100 48ad"), `table "Property": its column 1 has the number 2`},
		{"column type", set("_Columns", "0100 0180 0100 0380"), `table "Property", column "Property": type 0x3`},
		{"row size", set("Property", "010000"), `table "Property": 3 bytes are no number of rows of 4 bytes`},
		{"stream twice", func(s []cfb.Stream) []cfb.Stream { return add(rawName("a"))(add([]uint16{0x4824})(s)) }, `two streams "a"`},
		{"table's stream twice", add(append([]uint16{tableMark}, rawName("Property")...)), `two streams for the table "Property"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := cfb.Write(&b, Root(), tt.change(slices.Clone(good))); err != nil {
				t.Fatal(err)
			}
			_, err := Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %q", err, tt.want)
			}
		})
	}
	t.Run("CLSID", func(t *testing.T) {
		var b bytes.Buffer
		if err := cfb.Write(&b, cfb.Root{}, good); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(bytes.NewReader(b.Bytes()), int64(b.Len())); err == nil || !strings.Contains(err.Error(), "is not a package") {
			t.Error(err)
		}
	})
}

// TestCatalogue checks what the catalogue says about itself.
func TestCatalogue(t *testing.T) {
	names := Catalogue()
	if len(names) != 61 {
		t.Errorf("%d tables", len(names))
	}
	d := &Database{}
	for _, name := range names {
		columns, _ := Schema(name)
		d.Tables = append(d.Tables, &Table{Name: name, Columns: columns})
	}
	AddValidation(d)
	rules := 0
	for _, name := range names {
		columns, _ := Schema(name)
		keys := true
		for i, r := range Validation(name) {
			rules++
			c := columns[i]
			if r.Column != c.Name || r.Nullable != (c.Type&TypeNullable != 0) {
				t.Errorf("%s.%s: the rule is for %s", name, c.Name, r.Column)
			}
			if isKey := c.Type&TypeKey != 0; isKey && !keys || i == 0 && !isKey {
				t.Errorf("%s.%s: keys must be first", name, c.Name)
			} else {
				keys = isKey
			}
			// A number has bounds or a set or is any number, and a string a category.
			if c.Type&TypeString != 0 && r.Category == "" && r.Set == nil {
				t.Errorf("%s.%s: no category", name, c.Name)
			}
			if c.Type&TypeString == 0 && r.Category != "" || c.Type&TypeString != 0 && r.Bounded {
				t.Errorf("%s.%s: a rule for another type", name, c.Name)
			}
			if (r.Category == "Binary") != c.Type.Stream() {
				t.Errorf("%s.%s: category %q", name, c.Name, r.Category)
			}
			if strings.HasSuffix(r.Column, "_") && len(r.KeyTables) == 0 && !strings.Contains(r.Column, "Signature_") && r.Column != "Media_" {
				t.Errorf("%s.%s: no table that it refers to", name, c.Name)
			}
			for _, k := range r.KeyTables {
				if _, ok := Schema(k); !ok && k != "ODBCDataSource" {
					t.Errorf("%s.%s: refers to %s", name, c.Name, k)
				}
			}
			// What _Validation says of its own columns holds for the catalogue.
			for _, v := range Validation("_Validation") {
				if v.Column == "Category" && r.Category != "" && !slices.Contains(v.Set, r.Category) {
					t.Errorf("%s.%s: category %q", name, c.Name, r.Category)
				}
			}
		}
	}
	if got := len(d.Table("_Validation").Rows); got != rules {
		t.Errorf("%d rules in _Validation, want %d", got, rules)
	}
	// Every string of it fits.
	if _, err := Encode(d); err != nil {
		t.Error(err)
	}
	if _, ok := Schema("Nothing"); ok || Validation("Nothing") != nil {
		t.Error("the catalogue has a table Nothing")
	}
}

func TestTypes(t *testing.T) {
	// The numbers of msilib's schema, which has them from the SDK's.
	for s, want := range map[string]Type{"i2": 1282, "I2": 5378, "i4": 260, "I4": 4356, "s72": 3400, "S255": 7679, "l0": 3840, "L0": 7936, "v0": 2304, "V0": 6400} {
		got, err := parseType(s)
		if err != nil || got != want || got.String() != s {
			t.Errorf("%s is %d (%v), %v, want %d", s, got, got, err, want)
		}
		if got.Stream() != (s[0]|0x20 == 'v') || got.IsString() != strings.ContainsRune("sSlL", rune(s[0])) {
			t.Errorf("%s: stream %v, string %v", s, got.Stream(), got.IsString())
		}
	}
	for _, s := range []string{"", "s", "x2", "i3", "v1", "s256", "s-1"} {
		if got, err := parseType(s); err == nil {
			t.Errorf("%q is %v", s, got)
		}
	}
}

func TestWriteIDT(t *testing.T) {
	d := &Database{}
	d.Add("MsiDigitalSignature", "Media", "a\tb", "c\r\nd", true)
	d.Add("MsiDigitalSignature", "Media", "1", "c", nil)
	d.Add("Upgrade", "x", nil, nil, nil, -5, nil, "P")
	var b bytes.Buffer
	for _, table := range d.Tables {
		if err := WriteIDT(&b, table); err != nil {
			t.Fatal(err)
		}
	}
	want := "Table\tSignObject\tDigitalCertificate_\tHash\r\ns32\ts72\ts72\tV0\r\nMsiDigitalSignature\tTable\tSignObject\r\n" +
		"Media\ta\x10b\tc\x11\x19d\tMedia.a\tb.ibd\r\nMedia\t1\tc\t\r\n" +
		"UpgradeCode\tVersionMin\tVersionMax\tLanguage\tAttributes\tRemove\tActionProperty\r\ns38\tS20\tS20\tS255\ti4\tS255\ts72\r\n" +
		"Upgrade\tUpgradeCode\tVersionMin\tVersionMax\tLanguage\tAttributes\r\nx\t\t\t\t-5\t\tP\r\n"
	if d := cmp.Diff(b.String(), want); d != "" {
		t.Error(d)
	}
}

func FuzzRead(f *testing.F) {
	add := func(d *Database) {
		streams, err := Encode(d)
		if err != nil {
			f.Fatal(err)
		}
		var b bytes.Buffer
		if err := cfb.Write(&b, Root(), streams); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	add(&Database{})
	small := &Database{Codepage: 1252, Summary: Summary{Codepage: 1252, Title: "ü", Created: time.Unix(1e9, 0), Source: 2}, Streams: []Stream{stream("Icon.b", "icon")}}
	small.Add("Icon", "b", true)
	small.Add("Error", 1, "größer")
	small.Add("ReserveCost", "a", "b", nil, 1, -1)
	add(small)
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, table := range first.Tables {
			if err := WriteIDT(new(bytes.Buffer), table); err != nil {
				t.Fatal(err)
			}
		}
		// What Encode refuses is what a writer should not have written.
		streams, err := Encode(first)
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := cfb.Write(&again, Root(), streams); err != nil {
			return // as are names that differ only in case
		}
		second, err := Read(bytes.NewReader(again.Bytes()), int64(again.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(t, second, first); d != "" {
			t.Error(d)
		}
	})
}
