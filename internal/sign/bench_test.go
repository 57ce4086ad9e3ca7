package sign

import (
	"bytes"
	"io"
	"testing"
)

// BenchmarkSignPE signs a program of about 100 MB: two passes.
func BenchmarkSignPE(b *testing.B) {
	p := newPKI(b)
	program := append(bytes.Clone(newProgram(b)), make([]byte, 100<<20)...)
	a := p.authenticode(p.rsa)
	b.SetBytes(int64(len(program)))
	b.ReportAllocs()
	for b.Loop() {
		if err := a.SignPE(b.Context(), bytes.NewReader(program), int64(len(program)), io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
