package rpm

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Dump gives a package as text: each tag of both headers with its values, and
// the digest of the payload.
func Dump(t *testing.T, b []byte) string {
	t.Helper()
	f := mustOpen(t, b)
	var out strings.Builder
	fmt.Fprintf(&out, "lead: % x\n", bytes.TrimRight(b[:leadSize], "\x00"))
	for _, h := range []struct {
		name  string
		block *block
	}{{"signature header", f.signature}, {"header", f.main}} {
		fmt.Fprintf(&out, "%s at %d, %d bytes\n", h.name, h.block.offset, h.block.size)
		tags := tagList(h.block)
		for _, e := range mustWhole(t, h.block) {
			if e.typ == typeBin && len(e.data) == reservedSpace {
				tags[e.tag] = fmt.Sprintf("binary: %d zeros", len(e.data))
			}
			fmt.Fprintf(&out, "%d %s\n", e.tag, tags[e.tag])
		}
	}
	payload := b[f.main.end():]
	fmt.Fprintf(&out, "payload at %d, %d bytes, %x\n", f.main.end(), len(payload), sha256.Sum256(payload))
	return out.String()
}

// Resign gives a package, if b is nearly one, the digests of its header and its
// right size; payload digests are taken out.
func Resign(b []byte) []byte {
	size := int64(len(b))
	r := bytes.NewReader(b)
	sig, err := readBlock(r, leadSize, size, tagRegionSignatures)
	if err != nil {
		return b
	}
	main, err := readBlock(r, (sig.end()+7)&^7, size, tagRegionImmutable)
	if err != nil {
		return b
	}
	whole, err := main.whole()
	if err != nil {
		return b
	}
	h := slices.DeleteFunc(whole, func(e entry) bool {
		return e.tag == tagPayloadDigest || e.tag == tagPayloadDigestAlt
	})
	raw := h.encode(tagRegionImmutable)
	var s header
	s.addString(sigSHA256, hexSHA256(raw))
	out := append(slices.Clone(b[:leadSize]), s.encode(tagRegionSignatures)...)
	out = append(out, make([]byte, -len(out)&7)...)
	return append(append(out, raw...), b[main.end():]...)
}
