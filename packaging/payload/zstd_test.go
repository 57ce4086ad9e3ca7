package payload

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/vpkg/vpkg/internal/oracle"
)

// joinable are plain bytes that tempt an encoder to refer to the last offsets at
// its start.
func joinable(t testing.TB) map[string][]byte {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	mixed := make([]byte, 0, 400_000)
	for len(mixed) < 400_000 { // short matches at offsets around the first ones
		switch period := []int{1, 3, 4, 5, 7, 8, 9, 40}[r.IntN(8)]; {
		case len(mixed) < period:
			mixed = append(mixed, byte(r.Uint32()))
		default:
			for range 3 + r.IntN(20) {
				mixed = append(mixed, mixed[len(mixed)-period])
			}
			mixed = append(mixed, byte(r.Uint32()))
		}
	}
	program, err := os.ReadFile(runtime.GOROOT() + "/bin/gofmt") //nolint:staticcheck // any program will do
	if err != nil {
		program = bytes.Repeat(noise[:5000], 100)
	}
	return map[string][]byte{
		"nothing":   {},
		"one byte":  {1},
		"zeros":     make([]byte, 500_000),
		"period 4":  bytes.Repeat([]byte("abcd"), 50_000),
		"period 8":  bytes.Repeat([]byte("abcdefgh"), 50_000),
		"noise":     noise,
		"half":      append(bytes.Clone(noise[:100_000]), make([]byte, 200_000)...),
		"text":      []byte(strings.Repeat("the quick brown fox jumps over the lazy dog\n", 10_000)),
		"numbers":   fmt.Appendf(nil, "%d", r.Perm(60_000)),
		"mixed":     mixed,
		"program":   program,
		"two bytes": bytes.Repeat([]byte{0, 0, 0, 1, 0, 0, 0, 0, 2}, 30_000),
	}
}

func newZstdEncoder(t testing.TB, level zstd.EncoderLevel) encoder {
	t.Helper()
	c := zstdCodec(level)
	e, err := c.newEncoder()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// joined compresses each part on its own, and gives all of them as one zstd
// frame.
func joined(t testing.TB, e encoder, parts ...[]byte) []byte {
	t.Helper()
	b := bytes.NewBuffer(bytes.Clone(zstdHead))
	for _, p := range parts {
		if err := e.encode(b, p); err != nil {
			t.Fatal(err)
		}
	}
	b.Write(zstdTail)
	return b.Bytes()
}

// TestZstdJoined decodes runs of blocks in some order, whole and in parts.
func TestZstdJoined(t *testing.T) {
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r := rand.New(rand.NewPCG(5, 6))
	for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression} {
		var parts [][]byte
		for _, b := range joinable(t) {
			b = b[:min(len(b), 1<<20)]
			at := r.IntN(len(b) + 1)
			parts = append(parts, b, b[:at], b[at:])
		}
		r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		got, err := d.DecodeAll(joined(t, newZstdEncoder(t, level), parts...), nil)
		if want := slices.Concat(parts...); err != nil || !bytes.Equal(got, want) {
			t.Errorf("level %v: decoding gives %d bytes (%v), want %d", level, len(got), err, len(want))
		}
	}
}

// farPlain is what farHead decompresses to, so many bytes.
const farPlain = 3*farBlock + 3*3

const farBlock = 128 << 10 // the most there is

// farLimit is how many bytes can follow.
const farLimit = 256 << 10

// farHead is the start of a zstd frame of fill bytes alone, after which the three
// last offsets are more than 256 KiB, and so is what they refer to for as much
// that follows. A block that uses one then gives other bytes than it should, with one
// fill or with the other.
func farHead(fill byte) []byte {
	const (
		window     = (20 - 10) << 3 // 1 MiB
		rle        = 1
		compressed = 2
	)
	b := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, window}
	for range 3 {
		b = append(appendBlockHeader(b, rle, farBlock), fill)
	}
	block := []byte{
		0,                        // literals: raw, none
		3,                        // sequences
		rle<<6 | rle<<4 | rle<<2, // each code is the only one of its table
		0, 18, 0,                 // no literals, an offset with 18 extra bits, length 3
	}
	// The extra bits are read from the end, after a bit that is set.
	block = binary.LittleEndian.AppendUint64(block, 1<<54|100<<36|200<<18|300)
	block = block[:len(block)-1]
	return append(appendBlockHeader(b, compressed, len(block)), block...)
}

// independent reports whether the blocks, which decompress to plain, do so after
// others with other last offsets.
func independent(t testing.TB, d *zstd.Decoder, blocks, plain []byte) bool {
	t.Helper()
	if len(plain) > farLimit {
		t.Fatalf("%d bytes are more than can be checked", len(plain))
	}
	for _, fill := range []byte{0, 0xff} {
		got, err := d.DecodeAll(slices.Concat(farHead(fill), blocks, zstdTail), nil)
		if err != nil || len(got) < farPlain || !bytes.Equal(got[farPlain:], plain) {
			return false
		}
	}
	return true
}

// TestZstdIndependent has every level compress pieces that begin as an encoder
// might like the offsets 1, 4 and 8 that it starts with: in a block on its own,
// which the library makes in another way, and in several.
func TestZstdIndependent(t *testing.T) {
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()

	// One literal and a match at the last offset, which is 1 at the start of a frame.
	block := []byte{1 << 3, 'a', 1, 0x54, 1, 0, 0, 1}
	uses := append(appendBlockHeader(nil, 2, len(block)), block...)
	if got, err := d.DecodeAll(slices.Concat(zstdHead, uses, zstdTail), nil); err != nil || string(got) != "aaaa" {
		t.Fatalf("the block that uses the last offset gives %q (%v), want %q", got, err, "aaaa")
	}
	if independent(t, d, uses, []byte("aaaa")) {
		t.Fatal("a block that uses the last offset is not noticed")
	}

	data := joinable(t)
	r := rand.New(rand.NewPCG(3, 4))
	for period := 1; period <= 16; period++ {
		b := make([]byte, period)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		data[fmt.Sprintf("period %d", period)] = bytes.Repeat(b, 150_000/period)
	}
	for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression} {
		e := newZstdEncoder(t, level)
		check := func(name string, plain []byte) {
			var b bytes.Buffer
			if err := e.encode(&b, plain); err != nil {
				t.Fatal(err)
			}
			if !independent(t, d, b.Bytes(), plain) {
				t.Errorf("level %v: %d bytes of %s depend on what is before them", level, len(plain), name)
			}
		}
		for name, b := range data {
			check(name, b[:min(len(b), farLimit)])
			for range 3 {
				if len(b) > 1 {
					start := r.IntN(len(b) / 2)
					check(name, b[start:min(len(b), start+1<<r.IntN(18))])
				}
			}
		}
	}
}

// TestZstdProgram has the reference decoder read all of them as one frame: dpkg
// stops after the first.
func TestZstdProgram(t *testing.T) {
	oracle.Need(t, "zstd")
	var parts [][]byte
	var want []byte
	for _, p := range joinable(t) {
		parts = append(parts, p)
		want = append(want, p...)
	}
	b := joined(t, newZstdEncoder(t, zstd.SpeedBetterCompression), parts...)
	name := filepath.Join(t.TempDir(), "joined.zst")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := exec.Command("zstd", "-lv", name).CombinedOutput(); err != nil || !bytes.Contains(list, []byte("Frames: 1\n")) {
		t.Errorf("zstd -lv says (%v)\n%swant one frame", err, list)
	}
	cmd := exec.Command("zstd", "-dc")
	cmd.Stdin = bytes.NewReader(b)
	if got, err := cmd.Output(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("zstd gives %d bytes (%v), want %d", len(got), err, len(want))
	}
	d, err := zstd.NewReader(bytes.NewReader(b), zstd.IgnoreChecksum(false))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if n, err := io.Copy(io.Discard, d); err != nil || n != int64(len(want)) {
		t.Errorf("%d bytes (%v), want %d", n, err, len(want))
	}
}

func FuzzZstdJoined(f *testing.F) {
	for _, p := range joinable(f) {
		f.Add(p[:min(len(p), 2000)], p[:min(len(p), 300)], byte(len(p)))
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		f.Fatal(err)
	}
	e, fastest := newZstdEncoder(f, zstd.SpeedDefault), newZstdEncoder(f, zstd.SpeedFastest)
	f.Fuzz(func(t *testing.T, a, b []byte, n byte) {
		// The fuzzer's bytes are short: repeat them with changes.
		var long []byte
		for i := range int(n)/8 + 1 {
			long = append(append(long, a[min(i, len(a)):]...), b...)
		}
		for _, e := range []encoder{e, fastest} {
			var blocks bytes.Buffer
			if err := e.encode(&blocks, long); err != nil {
				t.Fatal(err)
			}
			if len(long) <= farLimit && !independent(t, d, blocks.Bytes(), long) {
				t.Errorf("%d bytes depend on what is before them", len(long))
			}
		}
		got, err := d.DecodeAll(joined(t, e, a, b, long, a), nil)
		want := append(append(append(bytes.Clone(a), b...), long...), a...)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("decoding gives %d bytes (%v), want %d", len(got), err, len(want))
		}
	})
}
