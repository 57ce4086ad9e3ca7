package rpm

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging"
)

// TestHostile reads headers that are whole, but ask for what no package needs.
func TestHostile(t *testing.T) {
	files := func(h *header, dirs, names []string, indexes ...uint32) {
		h.addStrings(tagDirNames, dirs)
		h.addStrings(tagBaseNames, names)
		h.addUint32s(tagDirIndexes, indexes...)
	}
	for _, c := range []struct {
		name string
		add  func(h *header)
		want string
	}{
		{"long path", func(h *header) { files(h, []string{"/" + strings.Repeat("x", 5000) + "/"}, []string{"a", "b"}, 0, 0) }, "path of 5003 bytes"},
		{"long name", func(h *header) { files(h, []string{"/"}, []string{"a", strings.Repeat("x", 5000)}, 0, 0) }, "a value of more than 4096 bytes"},
		{"paths", func(h *header) {
			files(h, []string{"/" + strings.Repeat("x", 4000) + "/"}, strings.Split(strings.Repeat("a ", 40_000), " "), make([]uint32, 40_001)...)
		}, "path of 4003 bytes, and 134220590 with those before it"},
		{"folder", func(h *header) { files(h, []string{"/"}, []string{"a", "b"}, 0, 1) }, "folder 1 of 1"},
		{"number of folders", func(h *header) { files(h, []string{"/"}, []string{"a", "b"}, 0) }, "1 values, want 2"},
		{"dots", func(h *header) { files(h, []string{"/../"}, []string{"a"}, 0) }, "not an absolute path"},
		{"slash", func(h *header) { files(h, []string{"/"}, []string{"a//b"}, 0) }, "not an absolute path"},
		{"relative", func(h *header) { files(h, []string{"a/"}, []string{"b"}, 0) }, "not an absolute path"},
		{"twice", func(h *header) { files(h, []string{"/", "/a/"}, []string{"a", "a", "a"}, 0, 1, 1) }, `"/a/a" is there twice`},
		{"many relations", func(h *header) {
			h.addStrings(tagRequireName, make([]string, maxOthers))
			h.addStrings(tagProvideName, []string{"a"})
		}, "262145 relations"},
		{"many changes", func(h *header) { h.addStrings(tagChangelogName, make([]string, maxOthers+1)) }, "262145 changes"},
		{"many triggers", func(h *header) { h.addStrings(tagTriggerScripts, make([]string, maxOthers+1)) }, "262145 triggers"},
		{"many values", func(h *header) { h.addStrings(tagRequireName, make([]string, maxValues+1)) }, "1048577 values"},
		{"many numbers", func(h *header) { h.addUint32s(tagRequireFlags, make([]uint32, maxValues+1)...) }, "1048577 values"},
		{"digest", func(h *header) {
			files(h, []string{"/"}, []string{"a"}, 0)
			h.addUint16s(tagFileModes, []uint16{0o100644})
			h.addStrings(tagFileDigests, []string{"12"})
			h.addUint32s(tagFileDigestAlgo, digestSHA256)
		}, `digest "12" has 2 digits`},
		{"size", func(h *header) {
			files(h, []string{"/"}, []string{"a"}, 0)
			h.addUint16s(tagFileModes, []uint16{0o100644})
			h.addUint64s(tagLongFileSizes, 1<<63)
		}, "9223372036854775808 bytes"},
		{"trigger's script", func(h *header) {
			h.addStrings(tagTriggerScripts, []string{"a"})
			h.addStrings(tagTriggerName, []string{"b"})
			h.addUint32s(tagTriggerIndex, 1)
			h.addUint32s(tagTriggerFlags, senseTriggerIn)
		}, "script 1 of 1"},
		{"trigger's kind", func(h *header) {
			h.addStrings(tagTriggerScripts, []string{"a"})
			h.addStrings(tagTriggerName, []string{"b"})
			h.addUint32s(tagTriggerFlags, 0)
		}, "flags 0x0 are not a trigger's"},
		{"no name", func(h *header) { *h = (*h)[:1] }, "no name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h, sig header
			h.addString(tagVersion, "1")
			h.addString(tagName, "hostile")
			c.add(&h)
			raw := h.encode(tagRegionImmutable)
			sig.addString(sigSHA256, hexSHA256(raw))
			b := append(appendLead(nil, "hostile-1", 1), sig.encode(tagRegionSignatures)...)
			b = append(append(b, make([]byte, -len(b)&7)...), raw...)
			_, err := Format{}.Read(t.Context(), bytes.NewReader(b), int64(len(b)), packaging.Headers)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

// TestReadPayloadErrors swaps the payload of a package for another's.
func TestReadPayloadErrors(t *testing.T) {
	p := differential()
	b := write(t, p)
	f := mustOpen(t, b)
	h := f.main.header
	for i, e := range h { // the payload is to be wrong, not its digest
		if e.tag == tagPayloadDigest || e.tag == tagPayloadDigestAlt {
			h[i].tag += 10_000
		}
	}
	head, archive := Resign(b[:f.main.end()]), string(b[f.main.end():])
	for _, c := range []struct{ name, old, new, want string }{
		{"content", "license\n", "lizense\n", "/opt/d/doc/LICENSE has digest"},
		{"target", "../bin/a32", "../bin/a33", `target of /opt/d/bin/sym is "../bin/a33"`},
		{"name", "./opt/d/empty\x00", "./opt/d/other\x00", `"./opt/d/other", number 0, is not in the header`},
		{"ghost", "./opt/d/bin/link1\x00", "./opt/d/etc/ghost\x00", "/opt/d/etc/ghost is there, but a ghost in the header"},
		{"type", "000081ed", "000041ed", "is d---------, want ----------"},
		{"twice", archive[:120], archive[:120] + archive[:120], "/opt/d is there twice"},
		{"missing", archive[:120], "", "/opt/d is missing"},
		{"magic", "070701", "070799", `cpio header starts with "070799"`},
		{"end", "TRAILER!!!\x00\x00\x00\x00", "", "unexpected EOF"},
		{"padding", "TRAILER!!!\x00\x00\x00\x00", "TRAILER!!!\x00\x00\x00\x00" + strings.Repeat("\x00", maxPadding+1), "data after the end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(archive, c.old) {
				t.Fatalf("%q is not in the archive", c.old)
			}
			bad := append(bytes.Clone(head), strings.Replace(archive, c.old, c.new, 1)...)
			_, err := Format{}.Read(t.Context(), bytes.NewReader(bad), int64(len(bad)), packaging.Payload)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

// TestLargeHeader reads a header that has 64 MiB which nobody asks for, and lists of
// files that say more than there is.
func TestLargeHeader(t *testing.T) {
	var h, sig header
	h.addString(tagVersion, "1")
	h.addString(tagName, "hostile")
	h.addBytes(60_000, make([]byte, 64<<20))
	raw := h.encode(tagRegionImmutable)
	sig.addString(sigSHA256, hexSHA256(raw))
	b := append(appendLead(nil, "hostile-1", 1), sig.encode(tagRegionSignatures)...)
	b = append(append(b, make([]byte, -len(b)&7)...), raw...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, err := Format{}.Read(t.Context(), bytes.NewReader(b), int64(len(b)), packaging.Headers)
	if err != nil || p.Name != "hostile" {
		t.Fatalf("%+v, %v", p, err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d bytes were allocated", used)
	}
	b[len(b)-100] ^= 1
	if _, err := (Format{}).Read(t.Context(), bytes.NewReader(b), int64(len(b)), packaging.Headers); err == nil || !strings.Contains(err.Error(), "header has SHA-256") {
		t.Errorf("with a bit flipped: %v", err)
	}
}
