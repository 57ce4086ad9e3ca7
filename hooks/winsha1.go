package hooks

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// sha1 is FIPS 180-4's, for the names of service accounts, which are no secret.
// Package crypto/sha1 would add 180 kB to the hook, which is in every package, and
// tests of itself to each of its starts.
func sha1(message []byte) [5]uint32 {
	h := [5]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}
	size := uint64(len(message)) * 8 // bits
	message = append(slices.Clip(message), 0x80)
	for len(message)%64 != 56 {
		message = append(message, 0)
	}
	message = binary.BigEndian.AppendUint64(message, size)
	for ; len(message) > 0; message = message[64:] {
		var w [80]uint32
		for i := range 16 {
			w[i] = binary.BigEndian.Uint32(message[4*i:])
		}
		for i := 16; i < len(w); i++ {
			w[i] = bits.RotateLeft32(w[i-3]^w[i-8]^w[i-14]^w[i-16], 1)
		}
		a, b, c, d, e := h[0], h[1], h[2], h[3], h[4]
		for i, word := range w {
			var f, k uint32
			switch i / 20 {
			case 0:
				f, k = b&c|^b&d, 0x5a827999
			case 1:
				f, k = b^c^d, 0x6ed9eba1
			case 2:
				f, k = b&c|b&d|c&d, 0x8f1bbcdc
			default:
				f, k = b^c^d, 0xca62c1d6
			}
			a, b, c, d, e = bits.RotateLeft32(a, 5)+f+e+k+word, a, bits.RotateLeft32(b, 30), c, d
		}
		for i, v := range [5]uint32{a, b, c, d, e} {
			h[i] += v
		}
	}
	return h
}
