package platform

import (
	"encoding/binary"
	"math/bits"
)

// A sha256 is FIPS 180-4's hash while it is made. Package crypto/sha256 would add
// 150 kB to the hook, which is in every package, and tests of itself to each of its
// starts. That one is some ten times as fast: a gigabyte takes this one some seconds.
type sha256 struct {
	h    [8]uint32
	size uint64 // bytes so far
	rest []byte // less than a block
}

const sha256Block = 64 // bytes

func newSHA256() *sha256 {
	return &sha256{h: [8]uint32{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}}
}

// write takes b in.
func (s *sha256) write(b []byte) {
	s.size += uint64(len(b))
	if len(s.rest) > 0 {
		s.rest = append(s.rest, b...)
		b, s.rest = s.rest, nil
	}
	for ; len(b) >= sha256Block; b = b[sha256Block:] {
		s.block(b)
	}
	s.rest = append(s.rest, b...)
}

// sum ends the hash.
func (s *sha256) sum() [32]byte {
	size := s.size * 8 // bits
	s.write([]byte{0x80})
	for len(s.rest) != sha256Block-8 {
		s.write([]byte{0})
	}
	s.write(binary.BigEndian.AppendUint64(nil, size))
	var sum [32]byte
	for i, h := range s.h {
		binary.BigEndian.PutUint32(sum[4*i:], h)
	}
	return sum
}

// block takes the first 64 bytes of b in.
func (s *sha256) block(b []byte) {
	var w [64]uint32
	for i := range 16 {
		w[i] = uint32(b[4*i])<<24 | uint32(b[4*i+1])<<16 | uint32(b[4*i+2])<<8 | uint32(b[4*i+3])
	}
	for i := 16; i < 64; i++ {
		x, y := w[i-2], w[i-15]
		w[i] = w[i-16] + w[i-7] +
			(bits.RotateLeft32(x, -17) ^ bits.RotateLeft32(x, -19) ^ x>>10) +
			(bits.RotateLeft32(y, -7) ^ bits.RotateLeft32(y, -18) ^ y>>3)
	}
	a, bb, c, d, e, f, g, h := s.h[0], s.h[1], s.h[2], s.h[3], s.h[4], s.h[5], s.h[6], s.h[7]
	for i := range 64 {
		t1 := h + (bits.RotateLeft32(e, -6) ^ bits.RotateLeft32(e, -11) ^ bits.RotateLeft32(e, -25)) + (e&f ^ ^e&g) + sha256K[i] + w[i]
		t2 := (bits.RotateLeft32(a, -2) ^ bits.RotateLeft32(a, -13) ^ bits.RotateLeft32(a, -22)) + (a&bb ^ a&c ^ bb&c)
		h, g, f, e, d, c, bb, a = g, f, e, d+t1, c, bb, a, t1+t2
	}
	s.h = [8]uint32{s.h[0] + a, s.h[1] + bb, s.h[2] + c, s.h[3] + d, s.h[4] + e, s.h[5] + f, s.h[6] + g, s.h[7] + h}
}

var sha256K = [64]uint32{
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
}
