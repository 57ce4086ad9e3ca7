package cab

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"os"
	"testing"
)

func roundTrip(t testing.TB, level int, plain []byte) int {
	t.Helper()
	b := append(make([]byte, frameSize), plain...)
	b = append(b, make([]byte, margin)...)
	z := &encoder{level: levels[level]}
	z.prime(b, frameSize, frameSize)
	var inf inflater
	out := make([]byte, len(plain)+slack)
	size := 0
	for start := 0; start < len(plain); start += frameSize {
		end := min(start+frameSize, len(plain))
		data := z.frame(nil, b, frameSize, frameSize+start, frameSize+end)
		size += len(data)
		if len(data) > end-start+10 {
			t.Fatalf("level %d: frame of %d bytes became %d", level, end-start, len(data))
		}
		lo := max(0, start-frameSize)
		used, err := inf.inflate(out[lo:], start-lo, end-lo, data)
		if err != nil {
			t.Fatalf("level %d: frame at %d: %v", level, start, err)
		}
		if used != len(data) {
			t.Fatalf("level %d: frame at %d: %d of %d bytes were read", level, start, used, len(data))
		}
		if !bytes.Equal(out[start:end], plain[start:end]) {
			t.Fatalf("level %d: frame at %d is read as something else", level, start)
		}
		std, err := io.ReadAll(flate.NewReaderDict(bytes.NewReader(data), plain[lo:start]))
		if err != nil || !bytes.Equal(std, plain[start:end]) {
			t.Fatalf("level %d: frame at %d: compress/flate reads something else, or says %v", level, start, err)
		}
	}
	return size
}

func TestFrame(t *testing.T) {
	noise := make([]byte, 100000)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(noise)
	exe, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		plain []byte
	}{
		{"one byte", []byte{7}},
		{"zeros", make([]byte, 100000)},
		{"noise", noise},
		{"repeated noise", append(noise[:40000:40000], noise[:40000]...)},
		{"text", bytes.Repeat([]byte("the quick brown fox "), 5000)},
		{"program", exe[:1<<20]},
	} {
		for level := 1; level <= 9; level++ {
			n := roundTrip(t, level, test.plain)
			t.Logf("%s: level %d: %d of %d", test.name, level, n, len(test.plain))
		}
	}
}
