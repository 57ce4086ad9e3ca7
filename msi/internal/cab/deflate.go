package cab

import (
	"encoding/binary"
	"math/bits"
)

// An encoder compresses frames for MSZIP. It finds matches with chains of equal
// hashes, defers a match where the next position has a better one, and writes each
// frame as the smallest of a stored, a fixed and a dynamic block.
//
// Positions are kept in 16 bits: an entry that is older than the window looks like
// another one, whose bytes are compared as any candidate's are, and a chain ends
// where distances stop growing.
type encoder struct {
	level level

	head  [1 << hashBits]uint16  // newest position of each hash of four bytes
	head3 [1 << hash3Bits]uint16 // and of three
	prev  [windowSize]uint16     // position before, of the same hash

	matches []match
	freq    [numLiterals]uint32
	dfreq   [numDistances]uint32

	literals, distances, codes tree
	header                     []uint16 // code lengths of a block, run-length encoded
	lengthCodes                [maxMatch + 1]uint32
}

const (
	windowSize = 32768
	hashBits   = 15
	hash3Bits  = 14

	// maxDistance is a little less than the format's 32768, as zlib's is: readers
	// have seen nothing else in most cabinets.
	maxDistance = windowSize - 262
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
	chain int  // candidates that are tried
	good  int  // length of a match from which on only a quarter of them is
	lazy  int  // length of a match that is not deferred
	nice  int  // length of a match that ends a search
	twice bool // look two positions ahead
}

var levels = [10]level{
	1: {chain: 4, good: 4, lazy: 4, nice: 16},
	2: {chain: 6, good: 8, lazy: 8, nice: 32},
	3: {chain: 8, good: 8, lazy: 16, nice: 32},
	4: {chain: 12, good: 8, lazy: 16, nice: 48},
	5: {chain: 16, good: 16, lazy: 32, nice: 64},
	6: {chain: 32, good: 16, lazy: 64, nice: 128},
	7: {chain: 64, good: 32, lazy: 128, nice: 258, twice: true},
	8: {chain: 200, good: 64, lazy: 258, nice: 258, twice: true},
	9: {chain: 1000, good: 258, lazy: 258, nice: 258, twice: true},
}

// margin is how many bytes an encoder's input has behind its end. They may have
// any value, but always the same.
const margin = 8

func load32(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }

func load64(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }

func hash(v uint32) uint32 { return v * 0x9e3779b1 >> (32 - hashBits) }

func hash3(v uint32) uint32 { return v << 8 * 0x9e3779b1 >> (32 - hash3Bits) }

// prime forgets everything and takes b[from:to] in as what comes before a frame.
func (z *encoder) prime(b []byte, from, to int) {
	clear(z.head[:])
	clear(z.head3[:])
	clear(z.prev[:])
	z.insert(b, from, to)
}

// insert enters the positions from to to-1.
func (z *encoder) insert(b []byte, from, to int) {
	for p := from; p < to; p++ {
		v := load32(b, p)
		h := hash(v)
		z.prev[p&(windowSize-1)] = z.head[h]
		z.head[h] = uint16(p)
		z.head3[hash3(v)] = uint16(p)
	}
}

// find enters position p and looks for a match there that is longer than best.
// Bytes before low are not there, nor are those from end on. It returns 0 where
// there is none.
func (z *encoder) find(b []byte, low, p, end, best, chain int) (length, distance int) {
	v := load32(b, p)
	h := hash(v)
	h3 := hash3(v)
	candidate := z.head[h]
	candidate3 := z.head3[h3]
	z.prev[p&(windowSize-1)] = candidate
	z.head[h] = uint16(p)
	z.head3[h3] = uint16(p)

	limit := end - p
	if limit > maxMatch {
		limit = maxMatch
	}
	if best >= limit || limit < 4 {
		return 0, 0
	}
	reach := p - low
	if reach > maxDistance {
		reach = maxDistance
	}
	nice := z.level.nice
	if nice > limit {
		nice = limit
	}
	if best < minMatch {
		d := int(uint16(p) - candidate3)
		if d-1 < reach && d > 0 && d <= tooFar && (load32(b, p-d)^v)<<8 == 0 {
			best, length, distance = minMatch, minMatch, d
		} else {
			best = minMatch
		}
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
			if n > limit {
				n = limit
			}
			if n > best {
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

// tooFar is the distance from which on a match of three bytes costs more than
// three literals.
const tooFar = 4096

// frame compresses b[start:end], a frame, and appends it to dst. Matches reach
// back to low. All frames from there on must have been given before, in order, to
// prime or frame. b has margin bytes behind end.
func (z *encoder) frame(dst, b []byte, low, start, end int) []byte {
	z.parse(b, low, start, end)
	return z.write(dst, b, start, end)
}

// parse finds the matches of b[start:end], and counts its symbols.
func (z *encoder) parse(b []byte, low, start, end int) {
	z.matches = z.matches[:0]
	clear(z.freq[:])
	clear(z.dfreq[:])
	l := z.level
	done := start // bytes before are in matches, or are their literals
	for p := start; p < end; {
		length, distance := z.find(b, low, p, end, 0, l.chain)
		if length == 0 {
			z.freq[b[p]]++
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
			if gain(n, d, length, distance) > 2 {
				z.freq[b[p]]++
				p++
				length, distance = n, d
				continue
			}
			if !l.twice || p+2 >= end {
				break
			}
			n, d = z.find(b, low, p+2, end, length-1, chain>>1)
			entered = p + 3
			if gain(n, d, length, distance) > 6 {
				z.freq[b[p]]++
				z.freq[b[p+1]]++
				p += 2
				length, distance = n, d
				continue
			}
			break
		}
		symbol := distanceSymbol(uint32(distance))
		z.freq[endOfBlock+1+int(lengthSymbol[length])]++
		z.dfreq[symbol]++
		z.matches = append(z.matches, match{uint16(p - done), uint16(length), uint16(distance), uint16(symbol)})
		p += length
		done = p
		z.insert(b, entered, p)
	}
	z.freq[endOfBlock]++
}

// gain is about how many bits a match of n bytes at distance d saves more than one
// of length bytes at distance.
func gain(n, d, length, distance int) int {
	return 4*(n-length) + bits.Len32(uint32(distance)) - bits.Len32(uint32(d))
}

// write appends b[start:end] as a final block to dst, after parse.
func (z *encoder) write(dst, b []byte, start, end int) []byte {
	z.literals.build(z.freq[:], maxBits)
	z.distances.build(z.dfreq[:], maxBits)
	extra := 0
	for s, n := range lengthExtra {
		extra += int(n) * int(z.freq[endOfBlock+1+s])
	}
	for s, n := range distanceExtra {
		extra += int(n) * int(z.dfreq[s])
	}
	dynamic := extra + z.planHeader()
	for s, f := range z.freq {
		dynamic += int(f) * int(z.literals.lengths[s])
	}
	for s, f := range z.dfreq {
		dynamic += int(f) * int(z.distances.lengths[s])
	}
	if (dynamic+7)/8 > end-start+4 {
		return appendStored(dst, b[start:end])
	}

	room := dynamic/8 + 16
	at := len(dst)
	if cap(dst)-at < room {
		dst = append(dst, make([]byte, room)...)
	}
	w := bitWriter{dst: dst[:at+room], at: at}
	z.writeHeader(&w)
	z.writeSymbols(&w, b, start, end)
	return w.end()
}

func appendStored(dst, b []byte) []byte {
	le := binary.LittleEndian
	dst = append(dst, 1) // final, stored
	dst = le.AppendUint16(dst, uint16(len(b)))
	dst = le.AppendUint16(dst, ^uint16(len(b)))
	return append(dst, b...)
}

// A bitWriter writes bits, the lowest of each byte first. dst has 8 bytes of room
// behind what is written.
type bitWriter struct {
	dst  []byte
	at   int
	hold uint64
	n    uint
}

// put takes n bits, which fit beside those that are held.
func (w *bitWriter) put(v uint64, n uint) {
	w.hold |= v << (w.n & 63)
	w.n += n
}

// flush leaves less than 8 bits held.
func (w *bitWriter) flush() {
	binary.LittleEndian.PutUint64(w.dst[w.at:], w.hold)
	w.at += int(w.n >> 3)
	w.hold >>= w.n &^ 7 & 63
	w.n &= 7
}

func (w *bitWriter) end() []byte {
	w.flush()
	if w.n > 0 {
		w.at++
	}
	return w.dst[:w.at]
}

// planHeader run-length encodes the trees' lengths, builds the code for that, and
// returns the bits of the block's header.
func (z *encoder) planHeader() int {
	z.header = z.header[:0]
	var freq [numCodes]uint32
	for _, t := range [][]uint8{z.literals.used(257), z.distances.used(1)} {
		for i := 0; i < len(t); {
			n := t[i]
			run := 1
			for i+run < len(t) && t[i+run] == n {
				run++
			}
			i += run
			if n == 0 {
				for run >= 11 {
					r := min(run, 138)
					z.header = append(z.header, 18|uint16(r-11)<<5)
					freq[18]++
					run -= r
				}
				if run >= 3 {
					z.header = append(z.header, 17|uint16(run-3)<<5)
					freq[17]++
					run = 0
				}
			} else {
				z.header = append(z.header, uint16(n))
				freq[n]++
				run--
				for run >= 3 {
					r := min(run, 6)
					z.header = append(z.header, 16|uint16(r-3)<<5)
					freq[16]++
					run -= r
				}
			}
			for range run {
				z.header = append(z.header, uint16(n))
				freq[n]++
			}
		}
	}
	z.codes.build(freq[:], maxCodes)
	size := 3 + 5 + 5 + 4 + 3*z.codeCount() + 2*int(freq[16]) + 3*int(freq[17]) + 7*int(freq[18])
	for s, f := range freq {
		size += int(f) * int(z.codes.lengths[s])
	}
	return size
}

// used is the lengths of the tree's symbols up to the last that occurs, and least
// of them at least.
func (t *tree) used(least int) []uint8 {
	n := maxSymbols
	for n > least && t.lengths[n-1] == 0 {
		n--
	}
	return t.lengths[:n]
}

// codeCount is how many lengths of the code length code are written.
func (z *encoder) codeCount() int {
	n := numCodes
	for n > 4 && z.codes.lengths[codeOrder[n-1]] == 0 {
		n--
	}
	return n
}

func (z *encoder) writeHeader(w *bitWriter) {
	codes := z.codeCount()
	w.put(1|2<<1, 3) // final, dynamic
	w.put(uint64(len(z.literals.used(257))-257), 5)
	w.put(uint64(len(z.distances.used(1))-1), 5)
	w.put(uint64(codes-4), 4)
	w.flush()
	for _, s := range codeOrder[:codes] {
		w.put(uint64(z.codes.lengths[s]), 3)
		w.flush()
	}
	for _, h := range z.header {
		s := h & 31
		w.put(uint64(z.codes.codes[s]), uint(z.codes.lengths[s]))
		switch s {
		case 16:
			w.put(uint64(h>>5), 2)
		case 17:
			w.put(uint64(h>>5), 3)
		case 18:
			w.put(uint64(h>>5), 7)
		}
		w.flush()
	}
}

func (z *encoder) writeSymbols(w *bitWriter, b []byte, start, end int) {
	lit, dist := &z.literals, &z.distances
	for n := minMatch; n <= maxMatch; n++ {
		s := lengthSymbol[n]
		code := endOfBlock + 1 + int(s)
		used := lit.lengths[code]
		z.lengthCodes[n] = uint32(lit.codes[code]) | uint32(n-int(lengthBase[s]))<<used | uint32(used+lengthExtra[s])<<24
	}
	p := start
	for i := 0; ; i++ {
		to := end
		if i < len(z.matches) {
			to = p + int(z.matches[i].literals)
		}
		for p < to {
			for range min(to-p, 3) {
				c := b[p]
				w.put(uint64(lit.codes[c]), uint(lit.lengths[c]))
				p++
			}
			w.flush()
		}
		if i == len(z.matches) {
			break
		}
		m := z.matches[i]
		l := z.lengthCodes[m.length]
		w.put(uint64(l&(1<<24-1)), uint(l>>24))
		s := m.symbol
		used := uint(dist.lengths[s])
		w.put(uint64(dist.codes[s])|uint64(m.distance-distanceBase[s])<<used, used+uint(distanceExtra[s]))
		w.flush()
		p += int(m.length)
	}
	w.put(uint64(lit.codes[endOfBlock]), uint(lit.lengths[endOfBlock]))
}
