package cab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

var (
	errTruncated  = errors.New("compressed data ends too early")
	errTooLong    = errors.New("more plain bytes than the frame says")
	errTooShort   = errors.New("fewer plain bytes than the frame says")
	errSymbol     = errors.New("bits that stand for no symbol")
	errDistance   = errors.New("distance reaches before the first byte")
	errStored     = errors.New("lengths of a stored block do not agree")
	errBlockType  = errors.New("reserved block type")
	errCodeCount  = errors.New("more symbols than there are")
	errCodeRepeat = errors.New("repetition of code lengths that are not there")
	errNoEnd      = errors.New("block without a code for its end")
	errTrailing   = errors.New("bytes after the last block")

	errIncomplete     = errors.New("incomplete Huffman tree")
	errOversubscribed = errors.New("oversubscribed Huffman tree")
)

// How many bits of a code the first table decodes.
const (
	literalBits  = 10
	distanceBits = 8
	codeBits     = maxCodes
)

// A table entry says what a code stands for:
//
//	 0  6  bits to drop, extra bits included
//	 6  1  literal
//	 7  1  neither a literal nor a length or distance
//	 8  4  bits of the code alone; of a pointer the bits of the table it points to
//	12  1  pointer to a second table
//	13  1  end of block
//	16 16  literal, base of a length or distance, or place of the second table
//
// An entry of 0 bits stands for no symbol.
const (
	entryLiteral = 1 << 6
	entrySpecial = 1 << 7
	entryPointer = 1 << 12
	entryEnd     = 1 << 13
	entryBits    = 63
)

// An inflater decodes the deflate streams of MSZIP frames. The zero value is ready
// to use.
type inflater struct {
	// lenient decodes a tree with one code or none, which some writers make and
	// some readers refuse, and sets incomplete. Without it such a tree is an error.
	lenient    bool
	incomplete bool

	// A second table has two codes at least, and as many entries as maxBits ask for
	// at most.
	literals  [1<<literalBits + numLiterals/2<<(maxBits-literalBits)]uint32
	distances [1<<distanceBits + numDistances/2<<(maxBits-distanceBits)]uint32
	codes     [1 << codeBits]uint32
	lengths   [numLiterals + 2 + numDistances + 2]uint8

	fixed bool // literals and distances are those of fixed blocks
}

// slack is how many bytes behind its end inflate may write to.
const slack = 8

// inflate decodes src, a deflate stream, to exactly the bytes buf[start:end], with
// buf[:start] as what came before. It may write slack bytes behind end. It returns
// how many bytes of src it needed.
func (z *inflater) inflate(buf []byte, start, end int, src []byte) (int, error) {
	if len(buf) < end+slack {
		panic("cab: no room for inflate's slack")
	}
	r := bitReader{src: src}
	p := start
	for final := false; !final; {
		if !r.need(3) {
			return 0, errTruncated
		}
		final = r.take(1) == 1
		var err error
		switch r.take(2) {
		case 0:
			p, err = r.stored(buf, p, end)
		case 1:
			if err = z.fixedTables(); err == nil {
				p, err = z.block(&r, buf, p, end)
			}
		case 2:
			if err = z.dynamicTables(&r); err == nil {
				p, err = z.block(&r, buf, p, end)
			}
		default:
			err = errBlockType
		}
		if err != nil {
			return 0, err
		}
	}
	if p != end {
		return 0, errTooShort
	}
	return r.pos - int(r.n>>3), nil
}

// A bitReader reads bits, the lowest of each byte first.
type bitReader struct {
	src  []byte
	pos  int    // bytes of src that are in bits or were
	bits uint64 // the lowest n are valid, and those above are right or 0
	n    uint   // 0 to 63
}

// need makes at least n bits valid, for n up to 56.
func (r *bitReader) need(n uint) bool {
	for r.n < n {
		if r.pos >= len(r.src) {
			return false
		}
		r.bits = r.bits&(1<<r.n-1) | uint64(r.src[r.pos])<<r.n
		r.pos++
		r.n += 8
	}
	return true
}

func (r *bitReader) take(n uint) uint32 {
	v := uint32(r.bits & (1<<n - 1))
	r.bits >>= n
	r.n -= n
	return v
}

func (r *bitReader) stored(buf []byte, p, end int) (int, error) {
	r.take(r.n & 7)
	if !r.need(32) {
		return p, errTruncated
	}
	n, inverse := r.take(16), r.take(16)
	if n != ^inverse&0xffff {
		return p, errStored
	}
	r.pos -= int(r.n >> 3) // bytes that were read ahead
	r.bits, r.n = 0, 0
	if int(n) > end-p {
		return p, errTooLong
	}
	if int(n) > len(r.src)-r.pos {
		return p, errTruncated
	}
	copy(buf[p:], r.src[r.pos:r.pos+int(n)])
	r.pos += int(n)
	return p + int(n), nil
}

func (z *inflater) fixedTables() error {
	if z.fixed {
		return nil
	}
	l := z.lengths[:numLiterals+2]
	for s := range l {
		switch {
		case s < 144:
			l[s] = 8
		case s < 256:
			l[s] = 9
		case s < 280:
			l[s] = 7
		default:
			l[s] = 8
		}
	}
	if _, err := buildTable(z.literals[:], literalBits, l, literalEntry); err != nil {
		return err
	}
	d := z.lengths[:numDistances+2]
	for s := range d {
		d[s] = 5
	}
	if _, err := buildTable(z.distances[:], distanceBits, d, distanceEntry); err != nil {
		return err
	}
	z.fixed = true
	return nil
}

func (z *inflater) dynamicTables(r *bitReader) error {
	if !r.need(14) {
		return errTruncated
	}
	literals, distances, codes := int(r.take(5))+257, int(r.take(5))+1, int(r.take(4))+4
	if literals > numLiterals || distances > numDistances {
		return errCodeCount
	}
	z.fixed = false
	var lengths [numCodes]uint8
	for _, s := range codeOrder[:codes] {
		if !r.need(3) {
			return errTruncated
		}
		lengths[s] = uint8(r.take(3))
	}
	if err := z.tree(buildTable(z.codes[:], codeBits, lengths[:], codeEntry)); err != nil {
		return fmt.Errorf("%w of code lengths", err)
	}
	all := z.lengths[:literals+distances]
	for i := 0; i < len(all); {
		ok := r.need(maxCodes + 7)
		e := z.codes[r.bits&(1<<min(r.n, codeBits)-1)]
		n := uint(e & entryBits)
		switch {
		case n == 0:
			if !ok && r.n < codeBits {
				return errTruncated
			}
			return errSymbol
		case n > r.n:
			return errTruncated
		}
		s := e >> 16
		if s < 16 {
			r.take(n)
			all[i] = uint8(s)
			i++
			continue
		}
		var value uint8
		more, base := uint(2), 3
		switch s {
		case 16:
			if i == 0 {
				return errCodeRepeat
			}
			value = all[i-1]
		case 17:
			more = 3
		default:
			more, base = 7, 11
		}
		if n+more > r.n {
			return errTruncated
		}
		r.take(n)
		count := base + int(r.take(more))
		if count > len(all)-i {
			return errCodeRepeat
		}
		for range count {
			all[i] = value
			i++
		}
	}
	if all[endOfBlock] == 0 {
		return errNoEnd
	}
	if err := z.tree(buildTable(z.literals[:], literalBits, all[:literals], literalEntry)); err != nil {
		return fmt.Errorf("%w of literals", err)
	}
	if err := z.tree(buildTable(z.distances[:], distanceBits, all[literals:], distanceEntry)); err != nil {
		return fmt.Errorf("%w of distances", err)
	}
	return nil
}

// tree is what buildTable returned, with one code or none forgiven where z is
// lenient.
func (z *inflater) tree(codes int, err error) error {
	if z.lenient && codes <= 1 && errors.Is(err, errIncomplete) {
		z.incomplete = true
		return nil
	}
	return err
}

// block decodes the symbols of a block up to its end.
func (z *inflater) block(r *bitReader, buf []byte, p, end int) (int, error) {
	var (
		src  = r.src
		pos  = r.pos
		hold = r.bits & (1<<r.n - 1)
		n    = r.n
		lits = &z.literals
		dist = &z.distances
	)
	for {
		// 56 bits hold a length and two literals or a distance.
		if pos+8 <= len(src) {
			hold |= binary.LittleEndian.Uint64(src[pos:]) << (n & 63)
			pos += int((63 - n) >> 3)
			n |= 56
		} else {
			for n <= 55 && pos < len(src) {
				hold |= uint64(src[pos]) << n
				pos++
				n += 8
			}
			hold &= 1<<n - 1
		}

		e := lits[hold&(1<<literalBits-1)]
		for range 2 {
			if e&entryLiteral == 0 {
				break
			}
			if p >= end {
				return p, errTooLong
			}
			used := uint(e & entryBits)
			if used > n {
				return p, errTruncated
			}
			hold >>= used
			n -= used
			buf[p] = byte(e >> 16)
			p++
			e = lits[hold&(1<<literalBits-1)]
		}
		if e&entryPointer != 0 {
			if n < literalBits {
				return p, errTruncated
			}
			hold >>= literalBits
			n -= literalBits
			e = lits[uint64(e>>16)+hold&(1<<(e>>8&15)-1)]
		}
		used := uint(e & entryBits)
		if used > n {
			return p, errTruncated
		}
		if e&entryLiteral != 0 {
			if p >= end {
				return p, errTooLong
			}
			hold >>= used
			n -= used
			buf[p] = byte(e >> 16)
			p++
			continue
		}
		if e&entrySpecial != 0 {
			if e&entryEnd == 0 {
				return p, errSymbol
			}
			hold >>= used
			n -= used
			r.pos, r.bits, r.n = pos, hold, n
			return p, nil
		}
		length := int(e>>16) + int(hold&(1<<used-1)>>(e>>8&15))
		hold >>= used
		n -= used

		if pos+8 <= len(src) {
			hold |= binary.LittleEndian.Uint64(src[pos:]) << (n & 63)
			pos += int((63 - n) >> 3)
			n |= 56
		} else {
			for n <= 55 && pos < len(src) {
				hold |= uint64(src[pos]) << n
				pos++
				n += 8
			}
			hold &= 1<<n - 1
		}
		e = dist[hold&(1<<distanceBits-1)]
		if e&entryPointer != 0 {
			if n < distanceBits {
				return p, errTruncated
			}
			hold >>= distanceBits
			n -= distanceBits
			e = dist[uint64(e>>16)+hold&(1<<(e>>8&15)-1)]
		}
		used = uint(e & entryBits)
		if used > n {
			return p, errTruncated
		}
		if e&entrySpecial != 0 {
			return p, errSymbol
		}
		distance := int(e>>16) + int(hold&(1<<used-1)>>(e>>8&15))
		hold >>= used
		n -= used

		if distance > p {
			return p, errDistance
		}
		if length > end-p {
			return p, errTooLong
		}
		to := p + length
		from := p - distance
		if distance >= 8 {
			for {
				binary.LittleEndian.PutUint64(buf[p:], binary.LittleEndian.Uint64(buf[from:]))
				p += 8
				from += 8
				if p >= to {
					break
				}
			}
			p = to
			continue
		}
		for p < to {
			buf[p] = buf[from]
			p++
			from++
		}
	}
}

// entryNone stands for no symbol.
const entryNone = entrySpecial

func literalEntry(s int, n uint) uint32 {
	switch {
	case s < endOfBlock:
		return uint32(s)<<16 | entryLiteral | uint32(n)<<8 | uint32(n)
	case s == endOfBlock:
		return entrySpecial | entryEnd | uint32(n)
	case s < numLiterals:
		s -= endOfBlock + 1
		return uint32(lengthBase[s])<<16 | uint32(n)<<8 | uint32(n) + uint32(lengthExtra[s])
	}
	return entryNone // 286 and 287 are in the fixed tree only
}

func distanceEntry(s int, n uint) uint32 {
	if s >= numDistances {
		return entryNone // 30 and 31 are in the fixed tree only
	}
	return uint32(distanceBase[s])<<16 | uint32(n)<<8 | uint32(n) + uint32(distanceExtra[s])
}

func codeEntry(s int, n uint) uint32 { return uint32(s)<<16 | uint32(n) }

// buildTable fills t, which decodes tableBits bits with its first entries and what
// is longer with tables behind them, for a canonical code of the given lengths.
// It returns how many codes there are. With errIncomplete, and only for at most one
// code, the table is usable.
func buildTable(t []uint32, tableBits uint, lengths []uint8, entry func(s int, n uint) uint32) (int, error) {
	var count, next [maxBits + 1]int
	for _, n := range lengths {
		count[n]++
	}
	codes := len(lengths) - count[0]
	count[0] = 0
	left, code := 1, 0
	for n := 1; n <= maxBits; n++ {
		left = left<<1 - count[n]
		if left < 0 {
			return codes, errOversubscribed
		}
		code = (code + count[n-1]) << 1
		next[n] = code
	}
	var err error
	if left > 0 {
		err = errIncomplete
		if codes > 1 || codes == 1 && count[1] == 0 {
			return max(codes, 2), err
		}
		for i := range t[:1<<tableBits] {
			t[i] = entryNone
		}
	}

	free := 1 << tableBits // where the next second table goes
	for n := uint(1); n <= min(tableBits, maxBits); n++ {
		if count[n] == 0 {
			continue
		}
		for s, l := range lengths {
			if uint(l) != n {
				continue
			}
			e := entry(s, n)
			for i := int(bits.Reverse16(uint16(next[n])) >> (16 - n)); i < 1<<tableBits; i += 1 << n {
				t[i] = e
			}
			next[n]++
		}
	}
	// Longer codes come in the order of their values, so that those with the same
	// first bits follow one another.
	sub, subBits, subPrefix := 0, uint(0), -1
	for n := tableBits + 1; n <= maxBits; n++ {
		left := count[n]
		if left == 0 {
			continue
		}
		for s, l := range lengths {
			if uint(l) != n {
				continue
			}
			reversed := int(bits.Reverse16(uint16(next[n])) >> (16 - n))
			prefix := reversed & (1<<tableBits - 1)
			if prefix != subPrefix {
				// The table needs as many bits as the codes that begin with prefix: those
				// of this length that are left, then twice as many of the next, and so on.
				subPrefix = prefix
				subBits = n - tableBits
				for room := 1<<subBits - left; room > 0 && tableBits+subBits < maxBits; {
					subBits++
					room = room<<1 - count[tableBits+subBits]
				}
				sub = free
				free += 1 << subBits
				t[prefix] = uint32(sub)<<16 | entryPointer | uint32(subBits)<<8
			}
			e := entry(s, n-tableBits)
			for i := reversed >> tableBits; i < 1<<subBits; i += 1 << (n - tableBits) {
				t[sub+i] = e
			}
			next[n]++
			left--
		}
	}
	return codes, err
}
