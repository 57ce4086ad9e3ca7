package installed_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/installed"
)

// one is a record with one entry.
func one(entry string) string { return `{"version":1,"entries":[` + entry + `]}` }

func TestHostileRecords(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	file := func(path, rest string) string {
		return fmt.Sprintf(`{"path":%q,"type":"file","mode":"0644","owner":"root","group":"root","sha256":%q%s}`, path, sum, rest)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"empty":               {"", "unexpected end"},
		"no JSON":             {"\x7fELF", "invalid character"},
		"a list":              {"[]", "cannot unmarshal"},
		"another version":     {`{"version":2}`, "version 2"},
		"relative":            {one(file("opt/x", "")), "not a clean absolute path"},
		"above":               {one(file("/opt/../etc/shadow", "")), "not a clean absolute path"},
		"not clean":           {one(file("/opt//x", "")), "not a clean absolute path"},
		"a zero byte":         {one(file("/opt/\x00x", "")), ""},
		"no path":             {one(file("", "")), "not a clean absolute path"},
		"a long path":         {one(file("/"+strings.Repeat("x", 5000), "")), "not a clean absolute path"},
		"a deep path":         {one(file(strings.Repeat("/x", 100_000), "")), "not a clean absolute path"},
		"twice":               {one(file("/a", "") + "," + file("/a", "")), "comes after"},
		"out of order":        {one(file("/b", "") + "," + file("/a", "")), "comes after"},
		"another type":        {one(`{"path":"/a","type":"device"}`), "type"},
		"a mode":              {one(`{"path":"/a","type":"dir","mode":"99"}`), "not octal"},
		"a large mode":        {one(`{"path":"/a","type":"dir","mode":"77777"}`), "not octal"},
		"a digest":            {one(`{"path":"/a","type":"file","sha256":"00"}`), "digits"},
		"no digest":           {one(`{"path":"/a","type":"file"}`), "without a digest"},
		"a size":              {one(file("/a", `,"size":-1`)), "size is -1"},
		"no size":             {one(file("/a", `,"size":1e99`)), "cannot unmarshal"},
		"a link to itself":    {one(file("/a", `,"hardlink":"/a"`)), "hard link"},
		"a link forwards":     {one(file("/a", `,"hardlink":"/b"`) + "," + file("/b", "")), "hard link"},
		"a link to a folder":  {one(`{"path":"/a","type":"dir"},` + file("/b", `,"hardlink":"/a"`)), "hard link"},
		"a link to a link":    {one(file("/a", "") + "," + file("/b", `,"hardlink":"/a"`) + "," + file("/c", `,"hardlink":"/b"`)), "hard link"},
		"a folder for a link": {one(file("/a", "") + `,{"path":"/b","type":"dir","hardlink":"/a"}`), "hard link"},
	} {
		l, err := installed.ReadRecord([]byte(tt.text))
		if tt.want == "" {
			tt.want = "invalid"
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v; want an error with %q", name, l, err, tt.want)
		}
	}
}

// TestRecordOfElsewhere: a record that names what is not the product's is answered
// without reading devices, or what the kernel makes up.
func TestRecordOfElsewhere(t *testing.T) {
	h := newHost(t)
	h.layout = packaging.Layout{
		{Path: "/dev/zero", Mode: 0o644, Size: 1 << 40, SHA256: packaging.Digest{1}},
		{Path: "/proc/kmsg", Mode: 0o400, SHA256: packaging.Digest{1}},
	}
	h.record()
	h.do(os.MkdirAll(h.at("/dev"), 0o755))
	h.do(os.Symlink("/dev/zero", h.at("/dev/zero")))
	r := h.verify(installed.Options{})
	for _, f := range r.Findings {
		if f.Where == "/dev/zero" && f.Rule != "type" {
			t.Errorf("found %v", f)
		}
	}
	// A record too large to be one is not read.
	h.do(os.Truncate(h.at(program+"/etc/layout.json"), 1<<40))
	h.wants(installed.Options{}, "record "+program+"/etc/layout.json")
}

func FuzzRecord(f *testing.F) {
	for _, seed := range []string{
		one(`{"path":"/opt","type":"dir","mode":"0755","owner":"root","group":"root"}`),
		one(`{"path":"/a","type":"file","mode":"4755","owner":"root","group":"x","size":3,"sha256":"` + strings.Repeat("ab", 32) + `","config":"config","caps":"cap_net_raw=ep"}`),
		one(`{"path":"/a","type":"symlink","target":"../x"}`),
		`{"version":1,"entries":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := installed.ReadRecord(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		m, err := installed.ReadRecord(again)
		if err != nil {
			t.Fatalf("%v of what was written: %s", err, again)
		}
		if ms := packaging.Diff(l, m); len(ms) > 0 {
			t.Fatal(ms)
		}
	})
}
