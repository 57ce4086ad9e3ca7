package payload

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// joinable are plain bytes that tempt an encoder to refer to the last offsets at
// its start.
func joinable(t testing.TB) map[string][]byte {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // test data
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

// TestZstdJoined decodes runs of blocks after each other, each after each other
// one at the default level.
func TestZstdJoined(t *testing.T) {
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	data := joinable(t)
	for a, first := range data {
		for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression} {
			parts, want := [][]byte{first}, bytes.Clone(first)
			for b, second := range data {
				if level == zstd.SpeedBetterCompression || a == "mixed" || b == "zeros" {
					parts = append(parts, second, first[:len(first)/3])
					want = append(append(want, second...), first[:len(first)/3]...)
				}
			}
			got, err := d.DecodeAll(joined(t, newZstdEncoder(t, level), parts...), nil)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("level %v, %s and others: decoding gives %d bytes (%v), want %d", level, a, len(got), err, len(want))
			}
		}
	}
}

// TestZstdProgram has the reference decoder read all of them as one frame: dpkg
// stops after the first.
func TestZstdProgram(t *testing.T) {
	if _, err := exec.LookPath("zstd"); err != nil {
		t.Skip("zstd is not installed")
	}
	var parts [][]byte
	var want []byte
	for _, p := range joinable(t) {
		parts = append(parts, p)
		want = append(want, p...)
	}
	b := joined(t, newZstdEncoder(t, zstd.SpeedBetterCompression), parts...)
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
	e := newZstdEncoder(f, zstd.SpeedDefault)
	f.Fuzz(func(t *testing.T, a, b []byte, n byte) {
		// The fuzzer's bytes are short: repeat them with changes.
		var long []byte
		for i := range int(n)/8 + 1 {
			long = append(append(long, a[min(i, len(a)):]...), b...)
		}
		got, err := d.DecodeAll(joined(t, e, a, b, long, a), nil)
		want := append(append(append(bytes.Clone(a), b...), long...), a...)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("decoding gives %d bytes (%v), want %d", len(got), err, len(want))
		}
	})
}
