package rpm

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// sampleHeader has one entry of each type, in no order.
func sampleHeader() header {
	var h header
	h.addUint64s(tagLongSize, 1<<32)
	h.addUint32s(tagFileSizes, 7, 8)
	h.addUint16s(tagFileModes, []uint16{0o100644})
	h.addString(tagName, "agent")
	h.addText(tagSummary, "hi")
	h.addStrings(tagBaseNames, []string{"a", ""})
	h.addBytes(sigMD5, []byte{1, 2})
	h = append(h, entry{tag: 5000, typ: typeChar, count: 1, data: []byte("c")}, entry{tag: 5001, typ: typeInt8, count: 2, data: []byte{8, 9}})
	return h
}

func TestHeaderEncode(t *testing.T) {
	const want = "" +
		"8eade801 00000000 0000000a 00000038" + // magic, 10 entries, 56 bytes of store
		"0000003f 00000007 00000028 00000010" + // region, whose trailer is at 40
		"000003e8 00000006 00000000 00000001" + // NAME, a string at 0
		"000003ec 00000009 00000006 00000001" + // SUMMARY, text at 6
		"000003ec 00000007 00000009 00000002" + // MD5, as in a signature header: two bytes at 9
		"00000404 00000004 0000000c 00000002" + // FILESIZES, two 32-bit numbers at 12
		"00000406 00000003 00000014 00000001" + // FILEMODES, a 16-bit number at 20
		"0000045d 00000008 00000016 00000002" + // BASENAMES, two strings at 22
		"00001388 00000001 00000019 00000001" + // a character at 25
		"00001389 00000002 0000001a 00000002" + // two 8-bit numbers at 26
		"00001391 00000005 00000020 00000001" + // LONGSIZE, a 64-bit number at 32
		"6167656e 7400" + "686900" + "0102 00" + // "agent", "hi", two bytes, padding to 12
		"00000007 00000008" + "81a4" + //           7, 8, 0100644
		"6100 00" + "63" + "0809 00000000" + //     "a", "", 'c', 8 and 9, padding to 32
		"00000001 00000000" + //                    1 << 32
		"0000003f 00000007 ffffff60 00000010" //    trailer: -160, the size of the index
	if got := hex.EncodeToString(sampleHeader().encode(tagRegionImmutable)); got != strings.ReplaceAll(want, " ", "") {
		t.Errorf("header is\n%s, want\n%s", got, strings.ReplaceAll(want, " ", ""))
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	raw := sampleHeader().encode(tagRegionImmutable)
	b, err := readBlock(bytes.NewReader(raw), 0, int64(len(raw)), tagRegionImmutable)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.encode(tagRegionImmutable); !bytes.Equal(got, raw) {
		t.Errorf("written again it is\n%x, want\n%x", got, raw)
	}
	f := fields{h: b}
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"string", f.string(tagName), "agent"},
		{"text", f.string(tagSummary), "hi"},
		{"strings", f.strings(tagBaseNames), []string{"a", ""}},
		{"64 bits", f.ints(tagLongSize), []uint64{1 << 32}},
		{"32 bits", f.ints(tagFileSizes), []uint64{7, 8}},
		{"16 bits", f.ints(tagFileModes), []uint64{0o100644}},
		{"8 bits", f.ints(5001), []uint64{8, 9}},
		{"character", f.ints(5000), []uint64{'c'}},
		{"missing string", f.string(tagURL), ""},
		{"missing numbers", f.ints(tagFileFlags), []uint64(nil)},
		{"missing bytes", f.bytes(tagURL), []byte(nil)},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
		}
	}
	if f.err != nil {
		t.Error(f.err)
	}
	for _, c := range []struct {
		name string
		get  func(f *fields)
	}{
		{"numbers of a string", func(f *fields) { f.ints(tagName) }},
		{"strings of a number", func(f *fields) { f.strings(tagLongSize) }},
		{"bytes of a string", func(f *fields) { f.bytes(tagName) }},
		{"number of values", func(f *fields) { sized(f, tagBaseNames, f.strings(tagBaseNames), 3) }},
	} {
		f := fields{h: b}
		if c.get(&f); f.err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
}

// TestHeaderErrors changes single numbers of the sample, which then is wrong at
// the given place.
func TestHeaderErrors(t *testing.T) {
	const index, store = preambleSize, preambleSize + 10*indexSize
	entryAt := func(i, field int) int { return index + i*indexSize + 4*field } // fields: tag, type, offset, count
	for _, c := range []struct {
		name   string
		at     int
		value  string // hex
		offset int64
		want   string
	}{
		{"magic", 0, "00000000", 0, "want 8e ad e8 01"},
		{"no entries", 8, "00000000", 8, "0 entries"},
		{"too many entries", 8, "00ffffff", 8, "16777215 entries"},
		{"entries beyond the file", 8, "0000fff0", 8, "does not fit"},
		{"huge store", 12, "ffffffff", 12, "4294967295 bytes"},
		{"store beyond the file", 12, "00000fff", 8, "does not fit"},
		{"other region", entryAt(0, 0), "0000003e", index, "region has tag 62, want 63"},
		{"region's type", entryAt(0, 1), "00000006", index, "type 6"},
		{"region's count", entryAt(0, 3), "00000011", index, "count 17"},
		{"region's offset", entryAt(0, 2), "fffffff0", index, "trailer is at -16"},
		{"region not at the end", entryAt(0, 2), "00000010", index, "trailer is at 16"},
		{"region's trailer", store + 0x28, "0000ffff", index, "trailer has tag 65535"},
		{"region's length", store + 0x28 + 8, "ffffff70", index, "covers 144 bytes of the index, want all 160"},
		{"unknown type", entryAt(1, 1), "0000000a", int64(entryAt(1, 0)), "unknown type 10"},
		{"negative offset", entryAt(1, 2), "ffffffff", int64(entryAt(1, 0)), "offset -1"},
		{"offset beyond the store", entryAt(1, 2), "00000100", int64(entryAt(1, 0)), "offset 256"},
		{"no values", entryAt(4, 3), "00000000", int64(entryAt(4, 0)), "0 values"},
		{"too many values", entryAt(4, 3), "7fffffff", int64(entryAt(4, 0)), "2147483647 values"},
		{"values beyond the store", entryAt(4, 3), "00000010", int64(entryAt(4, 0)), "16 values of 4 bytes"},
		{"not aligned", entryAt(4, 2), "0000000d", int64(entryAt(4, 0)), "not a multiple of 4"},
		{"overlap", entryAt(2, 2), "00000005", int64(entryAt(2, 0)), "overlaps"},
		{"two of a string", entryAt(1, 3), "00000002", int64(entryAt(1, 0)), "count 2, want 1"},
		{"string without an end", entryAt(6, 3), "0000000e", int64(entryAt(6, 0)), "string without an end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := sampleHeader().encode(tagRegionImmutable)
			value, err := hex.DecodeString(c.value)
			if err != nil {
				t.Fatal(err)
			}
			copy(raw[c.at:], value)
			_, err = readBlock(bytes.NewReader(raw), 0, int64(len(raw)), tagRegionImmutable)
			fe, ok := errors.AsType[*FormatError](err)
			if !ok {
				t.Fatalf("error is %v, want a FormatError", err)
			}
			if fe.Offset != c.offset || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want it at %d and with %q", err, c.offset, c.want)
			}
		})
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(sampleHeader().encode(tagRegionImmutable))
	f.Add(header{}.encode(tagRegionImmutable))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := readBlock(bytes.NewReader(raw), 0, int64(len(raw)), tagRegionImmutable)
		if err != nil {
			return
		}
		fs := fields{h: b}
		for _, e := range b.header {
			fs.strings(e.tag)
			fs.ints(e.tag)
			fs.bytes(e.tag)
		}
		again := mustWhole(t, b).encode(tagRegionImmutable)
		c, err := readBlock(bytes.NewReader(again), 0, int64(len(again)), tagRegionImmutable)
		if err != nil {
			t.Fatalf("cannot be read when written again: %v", err)
		}
		if got := mustWhole(t, c).encode(tagRegionImmutable); !bytes.Equal(got, again) {
			t.Errorf("written again it is\n%x, want\n%x", got, again)
		}
	})
}
