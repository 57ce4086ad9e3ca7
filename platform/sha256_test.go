package platform

import (
	"bytes"
	stdlib "crypto/sha256"
	"testing"
)

// TestSHA256 compares with the standard library's, for each length around a block's
// and each way to write it in two parts.
func TestSHA256(t *testing.T) {
	text := bytes.Repeat([]byte("the quick brown fox "), 20)
	for n := range 200 {
		for _, at := range []int{0, n / 3, n} {
			s := newSHA256()
			s.write(text[:at])
			s.write(text[at:n])
			if got, want := s.sum(), stdlib.Sum256(text[:n]); got != want {
				t.Fatalf("%d bytes in parts of %d and %d: %x, want %x", n, at, n-at, got, want)
			}
		}
	}
}

func BenchmarkSHA256(b *testing.B) {
	text := make([]byte, 64<<10)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		s := newSHA256()
		s.write(text)
		s.sum()
	}
}
