package cab

import (
	"encoding/binary"
	"math/bits"
)

// An encoder compresses frames for MSZIP. It finds matches with chains of equal
// hashes, defers a match where one of the next positions has a better one, and
// writes each frame as dynamic blocks, or as a stored one where that is smaller.
//
// Positions are kept in 16 bits: an entry that is older than the window looks like
// another one, whose bytes are compared as any candidate's are, and a chain ends
// where distances stop growing.
type encoder struct {
	level level

	head  [1 << hashBits]uint16  // newest position of each hash of four bytes
	head3 [1 << hash3Bits]uint16 // and of three
	prev  [windowSize]uint16     // position before, of the same hash

	matches []match // of the current frame
	chunks  []chunk // and its parts, in space
	space   [maxChunks]chunk

	literals, distances, codes tree // of the current block
	header                     []uint16
	lengthCodes                [maxMatch + 1]uint32
}

const (
	windowSize = 32768
	hashBits   = 15
	hash3Bits  = 14

	// maxDistance is a little less than the format's 32768, as zlib's is: readers
	// have seen nothing else in most cabinets.
	maxDistance = windowSize - 262

	// tooFar is the distance from which on a match of three bytes costs more than
	// three literals.
	tooFar = 8192
)

// A match follows literals.
type match struct {
	literals uint16
	length   uint16
	distance uint16
	symbol   uint16 // of the distance
}

// A level says how hard matches are looked for.
type level struct {
	chain int // candidates that are tried
	good  int // length of a match from which on only a quarter of them is
	lazy  int // length of a match that is not deferred
	nice  int // length of a match that ends a search
}

var levels = [10]level{
	1: {chain: 4, good: 8, lazy: 16, nice: 32},
	2: {chain: 6, good: 8, lazy: 16, nice: 32},
	3: {chain: 8, good: 8, lazy: 32, nice: 64},
	4: {chain: 12, good: 16, lazy: 32, nice: 64},
	5: {chain: 16, good: 16, lazy: 32, nice: 128},
	6: {chain: 32, good: 16, lazy: 64, nice: 128},
	7: {chain: 48, good: 32, lazy: 128, nice: 258},
	8: {chain: 96, good: 32, lazy: 128, nice: 258},
	9: {chain: 512, good: 64, lazy: 258, nice: 258},
}

// plain is what an encoder works on: the last bytes of what came before, as many
// as matches can reach, then frames, then a margin that is read but never part of a
// match. Its size lets the compiler see that a masked index is in bounds, so that
// the loads below, most of what the encoder does, need no check.
type plain [plainSize + margin]byte

const (
	plainSize = windowSize + runFrames*frameSize // a power of two
	plainMask = plainSize - 1
	margin    = 8
)

func load32(b *plain, i int) uint32 {
	i &= plainMask
	return binary.LittleEndian.Uint32(b[i : i+4])
}

func load64(b *plain, i int) uint64 {
	i &= plainMask
	return binary.LittleEndian.Uint64(b[i : i+8])
}

func hash4(v uint32) uint32 { return v * 0x9e3779b1 >> (32 - hashBits) }

func hash3(v uint32) uint32 { return v << 8 * 0x9e3779b1 >> (32 - hash3Bits) }

// prime forgets everything and takes b[from:to] in as what comes before a frame.
func (z *encoder) prime(b *plain, from, to int) {
	clear(z.head[:])
	clear(z.head3[:])
	clear(z.prev[:])
	z.insert(b, from, to)
}

// insert enters the positions from to to-1.
func (z *encoder) insert(b *plain, from, to int) {
	for p := from; p < to; p++ {
		v := load32(b, p)
		h := hash4(v)
		z.prev[p&(windowSize-1)] = z.head[h]
		z.head[h] = uint16(p)
		z.head3[hash3(v)] = uint16(p)
	}
}

// find enters position p and looks for a match there that is longer than best.
// Bytes before low are not there, nor are those from end on. It returns 0 where
// there is none.
func (z *encoder) find(b *plain, low, p, end, best, chain int) (length, distance int) {
	v := load32(b, p)
	h := hash4(v)
	h3 := hash3(v)
	candidate := z.head[h]
	candidate3 := z.head3[h3]
	z.prev[p&(windowSize-1)] = candidate
	z.head[h] = uint16(p)
	z.head3[h3] = uint16(p)

	limit := min(end-p, maxMatch)
	if best >= limit || limit < 4 {
		return 0, 0
	}
	reach := min(p-low, maxDistance)
	nice := min(z.level.nice, limit)
	if best < minMatch {
		d := int(uint16(p) - candidate3)
		if d > 0 && d <= min(reach, tooFar) && (load32(b, p-d)^v)<<8 == 0 {
			length, distance = minMatch, d
		}
		best = minMatch
	}
	// best is 3 at least: the four bytes that end behind the best match tell most
	// candidates that are no better.
	tail := load32(b, p+best-3)
	last := 0
	for ; chain > 0; chain-- {
		d := int(uint16(p) - candidate)
		if d <= last || d > reach {
			break
		}
		last = d
		q := p - d
		if load32(b, q+best-3) == tail && load32(b, q) == v {
			n := 4
			for n < limit {
				if x := load64(b, p+n) ^ load64(b, q+n); x != 0 {
					n += bits.TrailingZeros64(x) >> 3
					break
				}
				n += 8
			}
			if n = min(n, limit); n > best {
				best, length, distance = n, n, d
				if n >= nice {
					break
				}
				tail = load32(b, p+best-3)
			}
		}
		candidate = z.prev[candidate&(windowSize-1)]
	}
	return length, distance
}

// frame compresses b[start:end], a frame, and appends it to dst. Matches reach
// back to low. All frames from there on must have been given before, in order, to
// prime or frame. b has margin bytes behind end.
func (z *encoder) frame(dst []byte, b *plain, low, start, end int) []byte {
	z.parse(b, low, start, end)
	z.split()
	return z.write(dst, b, start, end)
}

// parse finds the matches of b[start:end], and counts symbols in chunks.
func (z *encoder) parse(b *plain, low, start, end int) {
	z.matches = z.matches[:0]
	z.chunks = z.space[:0]
	c := z.newChunk(start)
	l := z.level
	done := start // bytes before are in matches, or are their literals
	for p := start; p < end; {
		length, distance := z.find(b, low, p, end, 0, l.chain)
		if length == 0 {
			c.literals[b[p&plainMask]]++
			p++
			continue
		}
		entered := p + 1
		for length < l.lazy && p+1 < end {
			chain := l.chain >> 1
			if length >= l.good {
				chain = l.chain >> 2
			}
			n, d := z.find(b, low, p+1, end, length-1, chain)
			entered = p + 2
			if n > 0 && gain(n, d, length, distance) > 2 {
				c.literals[b[p&plainMask]]++
				p++
				length, distance = n, d
				continue
			}
			break
		}
		symbol := distanceSymbol(uint32(distance))
		c.literals[endOfBlock+1+int(lengthSymbol[length])]++
		c.distances[symbol]++
		z.matches = append(z.matches, match{uint16(p - done), uint16(length), uint16(distance), uint16(symbol)})
		p += length
		done = p
		z.insert(b, entered, p)
		if p-c.start >= chunkSize && end-p >= chunkSize/2 {
			c.end, c.matches = p, len(z.matches)
			c = z.newChunk(p)
		}
	}
	c.end, c.matches = end, len(z.matches)
}

// gain is about how many bits a match of n bytes at distance d saves more than one
// of length bytes at distance.
func gain(n, d, length, distance int) int {
	return 4*(n-length) + bits.Len32(uint32(distance)) - bits.Len32(uint32(d))
}
