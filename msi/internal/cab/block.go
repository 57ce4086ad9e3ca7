package cab

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// A chunk is a part of a frame: the start of what may become a block of its own.
type chunk struct {
	start, end int                 // in plain
	matches    int                 // index of the first match behind it
	literals   [numLiterals]uint32 // how often each symbol occurs
	distances  [numDistances]uint32
	cost       int // estimate of its size as a block, in bits/scale
	together   int // and of it and the next as one block
}

const (
	chunkSize = 4096 // bytes at least, but for the last that may have half
	maxChunks = frameSize/chunkSize + 1
)

// newChunk begins a chunk.
func (z *encoder) newChunk(start int) *chunk {
	z.chunks = z.chunks[:len(z.chunks)+1]
	c := &z.chunks[len(z.chunks)-1]
	*c = chunk{start: start}
	c.literals[endOfBlock] = 1
	return c
}

// merge adds b, which follows c, to it.
func (c *chunk) merge(b *chunk) {
	c.end, c.matches = b.end, b.matches
	for s, f := range &b.literals {
		c.literals[s] += f
	}
	c.literals[endOfBlock] = 1
	for s, f := range &b.distances {
		c.distances[s] += f
	}
}

// split merges neighbouring chunks, the two that gain most first, until no merger
// saves anything. What is left are the frame's blocks.
func (z *encoder) split() {
	for i := range z.chunks {
		z.chunks[i].cost = estimate(&z.chunks[i], &noChunk)
		z.together(i)
	}
	for {
		best, at := 0, -1
		for i := range len(z.chunks) - 1 {
			gain := z.chunks[i].cost + z.chunks[i+1].cost - z.chunks[i].together
			if gain >= best {
				best, at = gain, i
			}
		}
		if at < 0 {
			return
		}
		c := &z.chunks[at]
		c.merge(&z.chunks[at+1])
		c.cost = c.together
		z.chunks = slices.Delete(z.chunks, at+1, at+2)
		z.together(at)
		if at > 0 {
			z.together(at - 1)
		}
	}
}

// together sets the estimate of chunk i and the next as one.
func (z *encoder) together(i int) {
	if i+1 < len(z.chunks) {
		z.chunks[i].together = estimate(&z.chunks[i], &z.chunks[i+1])
	}
}

var noChunk chunk

const (
	scale = 256 // of a bit, in estimates

	// What a block's header takes is about so many bits, and as many for each symbol
	// that occurs.
	headerCost = 80 * scale
	symbolCost = 4 * scale
)

// estimate is about what a and b take as one block, without the extra bits, which
// are the same in any.
func estimate(a, b *chunk) int {
	return headerCost + entropy(a.literals[:], b.literals[:]) + entropy(a.distances[:], b.distances[:])
}

// entropy is about what symbols take that occur as often as a and b say together,
// and their code.
func entropy(a, b []uint32) int {
	b = b[:len(a)]
	var total uint32
	cost := 0
	for s, f := range a {
		if f += b[s]; f > 0 {
			total += f
			cost += symbolCost - flog(f)
		}
	}
	return cost + flog(total)
}

// logs are the binary logarithms of 1 to 255.
var logs = func() (t [256]uint16) {
	for i := 1; i < len(t); i++ {
		t[i] = uint16(math.Round(math.Log2(float64(i)) * scale))
	}
	return t
}()

// flog is about f times its binary logarithm.
func flog(f uint32) int {
	n := max(bits.Len32(f)-8, 0)
	return int(f) * (n*scale + int(logs[f>>n&255]))
}

// write appends b[start:end] to dst, after parse and split.
func (z *encoder) write(dst []byte, b *plain, start, end int) []byte {
	at := len(dst)
	stored := at + 5 + end - start
	dst = slices.Grow(dst, stored-at+8)
	w := bitWriter{dst: dst[:stored+8], at: at}
	first := 0
	for i := range z.chunks {
		c := &z.chunks[i]
		size := z.plan(c)
		if w.at+int(w.n+uint(size)+7)/8 >= stored {
			return appendStored(dst, b[start:end])
		}
		final := uint64(0)
		if i == len(z.chunks)-1 {
			final = 1
		}
		w.put(final|2<<1, 3) // dynamic
		z.writeHeader(&w)
		z.writeSymbols(&w, b, c.start, c.end, z.matches[first:c.matches])
		first = c.matches
	}
	return w.end()
}

// plan makes the trees for c and returns how many bits its block takes.
func (z *encoder) plan(c *chunk) int {
	z.literals.build(c.literals[:], maxBits)
	z.distances.build(c.distances[:], maxBits)
	size := z.planHeader()
	for s, f := range &c.literals {
		size += int(f) * int(z.literals.lengths[s])
	}
	for s, n := range &lengthExtra {
		size += int(n) * int(c.literals[endOfBlock+1+s])
	}
	for s, f := range &c.distances {
		size += int(f) * int(z.distances.lengths[s]+distanceExtra[s])
	}
	return size
}

// appendStored appends b as a final stored block to dst.
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

// writeHeader writes what planHeader planned.
func (z *encoder) writeHeader(w *bitWriter) {
	codes := z.codeCount()
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

// writeSymbols writes b[start:end] and the end of the block.
func (z *encoder) writeSymbols(w *bitWriter, b *plain, start, end int, matches []match) {
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
		if i < len(matches) {
			to = p + int(matches[i].literals)
		}
		for p < to {
			for range min(to-p, 3) {
				c := b[p]
				w.put(uint64(lit.codes[c]), uint(lit.lengths[c]))
				p++
			}
			w.flush()
		}
		if i == len(matches) {
			break
		}
		m := matches[i]
		l := z.lengthCodes[m.length]
		w.put(uint64(l&(1<<24-1)), uint(l>>24))
		s := m.symbol
		used := uint(dist.lengths[s])
		w.put(uint64(dist.codes[s])|uint64(m.distance-distanceBase[s])<<used, used+uint(distanceExtra[s]))
		w.flush()
		p += int(m.length)
	}
	w.put(uint64(lit.codes[endOfBlock]), uint(lit.lengths[endOfBlock]))
	w.flush()
}
