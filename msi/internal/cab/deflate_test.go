package cab

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
)

// encode compresses b, which fits a run, to frames, with p as space.
func encode(z *encoder, p *plain, b []byte) [][]byte {
	end := windowSize + copy(p[windowSize:plainSize], b)
	z.prime(p, windowSize, windowSize)
	var frames [][]byte
	for start := windowSize; start < end; start += frameSize {
		frames = append(frames, z.frame(nil, p, windowSize, start, min(start+frameSize, end)))
	}
	return frames
}

// checkFrames decodes frames with two decoders and compares with b.
func checkFrames(t *testing.T, frames [][]byte, b []byte) {
	t.Helper()
	var z inflater
	out := make([]byte, len(b)+slack)
	for i, data := range frames {
		start := i * frameSize
		end := min(start+frameSize, len(b))
		low := max(0, start-windowSize)
		if most := end - start + 5; len(data) > most {
			t.Errorf("frame %d has %d bytes, want at most %d", i, len(data), most)
		}
		used, err := z.inflate(out[low:], start-low, end-low, data)
		switch {
		case err != nil:
			t.Errorf("frame %d: %v", i, err)
		case used != len(data):
			t.Errorf("frame %d: %d of %d bytes are read", i, used, len(data))
		case !bytes.Equal(out[start:end], b[start:end]):
			t.Errorf("frame %d is read as something else", i)
		}
		std, err := io.ReadAll(flate.NewReaderDict(bytes.NewReader(data), b[low:start]))
		if err != nil || !bytes.Equal(std, b[start:end]) {
			t.Errorf("frame %d is read as something else by compress/flate, or it says %v", i, err)
		}
	}
}

// FuzzDeflate compresses its input, repeated to reach further frames, and has two
// decoders read it.
func FuzzDeflate(f *testing.F) {
	for _, b := range payloads(f) {
		f.Add(b[:min(len(b), 200)], uint8(6), uint8(0))
	}
	f.Add(noise(1000), uint8(1), uint8(70))
	f.Add(programText(f, 5000), uint8(9), uint8(14))
	z, p := new(encoder), new(plain)
	f.Fuzz(func(t *testing.T, b []byte, level, more uint8) {
		b = bytes.Repeat(b[:min(len(b), frameSize)], 1+int(more))
		b = b[:min(len(b), 3*frameSize)]
		z.level = levels[1+level%9]
		checkFrames(t, encode(z, p, b), b)
	})
}

// TestTree has trees of all shapes, which are complete and no deeper than they may
// be.
func TestTree(t *testing.T) {
	fibonacci := make([]uint32, 24)
	for i := range fibonacci {
		fibonacci[i] = 1
		if i > 1 {
			fibonacci[i] = fibonacci[i-1] + fibonacci[i-2]
		}
	}
	equal := make([]uint32, numLiterals)
	for i := range equal {
		equal[i] = 100
	}
	one := make([]uint32, numDistances)
	one[5] = 7
	for _, test := range []struct {
		name  string
		freq  []uint32
		limit int
	}{
		{"none", make([]uint32, numDistances), maxBits},
		{"one", one, maxBits},
		{"the first alone", []uint32{9, 0, 0}, maxBits},
		{"two", []uint32{0, 1, 0, 70000}, maxBits},
		{"Fibonacci numbers", fibonacci, maxBits},
		{"Fibonacci numbers and few bits", fibonacci[:numCodes], maxCodes},
		{"equal", equal, maxBits},
	} {
		var z tree
		freq := slices.Clone(test.freq)
		z.build(test.freq, test.limit)
		space, codes := 0, 0
		for s, n := range z.lengths {
			if n == 0 {
				if s < len(test.freq) && freq[s] > 0 {
					t.Errorf("%s: symbol %d has no code", test.name, s)
				}
				continue
			}
			if int(n) > test.limit {
				t.Errorf("%s: symbol %d has %d bits, want at most %d", test.name, s, n, test.limit)
			}
			space += 1 << (maxBits - n)
			codes++
		}
		if space != 1<<maxBits || codes < 2 {
			t.Errorf("%s: %d codes take up %d/%d of all", test.name, codes, space, 1<<maxBits)
		}
		// And it is a code that the inflater understands.
		table := make([]uint32, 1<<literalBits+1<<maxBits)
		if _, err := buildTable(table, literalBits, z.lengths[:len(test.freq)], codeEntry); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		for s, n := range z.lengths[:len(test.freq)] {
			if n == 0 {
				continue
			}
			e := table[z.codes[s]&(1<<literalBits-1)]
			if e&entryPointer != 0 {
				e = table[e>>16+uint32(z.codes[s]>>literalBits)&(1<<(e>>8&15)-1)]
				n -= literalBits
			}
			if int(e>>16) != s || uint8(e&entryBits) != n {
				t.Errorf("%s: the code of symbol %d is read as %d", test.name, s, e>>16)
			}
		}
	}
}

// TestSymbols compares the tables of lengths and distances with what RFC 1951 says.
func TestSymbols(t *testing.T) {
	for _, test := range []struct{ symbol, extra, base int }{
		{257, 0, 3}, {264, 0, 10}, {265, 1, 11}, {268, 1, 17}, {269, 2, 19}, {273, 3, 35}, {277, 4, 67}, {281, 5, 131}, {284, 5, 227}, {285, 0, 258},
	} {
		s := test.symbol - 257
		if int(lengthBase[s]) != test.base || int(lengthExtra[s]) != test.extra || int(lengthSymbol[test.base]) != s {
			t.Errorf("length symbol %d: base %d, extra bits %d, and length %d has symbol %d; want base %d and %d", test.symbol, lengthBase[s], lengthExtra[s], test.base, lengthSymbol[test.base], test.base, test.extra)
		}
	}
	if s := lengthSymbol[257]; s != 27 {
		t.Errorf("length 257 has symbol %d, want 27", s)
	}
	for _, test := range []struct{ symbol, extra, base int }{
		{0, 0, 1}, {3, 0, 4}, {4, 1, 5}, {5, 1, 7}, {6, 2, 9}, {10, 4, 33}, {20, 9, 1025}, {28, 13, 16385}, {29, 13, 24577},
	} {
		s := test.symbol
		last := distanceSymbol(uint32(test.base - 1 + 1<<test.extra))
		if int(distanceBase[s]) != test.base || int(distanceExtra[s]) != test.extra || distanceSymbol(uint32(test.base)) != uint32(s) || last != uint32(s) {
			t.Errorf("distance symbol %d: base %d, extra bits %d, last %d; want base %d and %d", s, distanceBase[s], distanceExtra[s], last, test.base, test.extra)
		}
	}
}

// bitString builds a deflate stream by hand.
type bitString struct {
	b []byte
	n uint
}

// put adds bits, lowest first.
func (s *bitString) put(v, n uint) {
	for range n {
		if s.n%8 == 0 {
			s.b = append(s.b, 0)
		}
		s.b[s.n/8] |= byte(v&1) << (s.n % 8)
		v >>= 1
		s.n++
	}
}

// dynamic is the header of a final dynamic block with the given code lengths, all
// below 16, whose own code has 4 bits for each.
func dynamic(literals, distances []uint8) *bitString {
	s := new(bitString)
	s.put(1|2<<1, 3)
	s.put(uint(len(literals)-257), 5)
	s.put(uint(len(distances)-1), 5)
	s.put(numCodes-4, 4)
	for _, c := range codeOrder {
		if c < 16 {
			s.put(4, 3)
		} else {
			s.put(0, 3)
		}
	}
	for _, l := range append(append([]uint8(nil), literals...), distances...) {
		for i := range uint(4) {
			s.put(uint(l)>>(3-i), 1)
		}
	}
	return s
}

// TestInflateErrors has streams that are wrong in one thing each, and what a
// lenient inflater makes of them.
func TestInflateErrors(t *testing.T) {
	lengths := func(n int, of map[int]uint8) []uint8 {
		l := make([]uint8, n)
		for s, b := range of {
			l[s] = b
		}
		return l
	}
	two := lengths(258, map[int]uint8{'a': 1, endOfBlock: 2, 257: 2}) // a is 0, the end 10, three bytes 11
	stream := func(s *bitString, bits string) []byte {
		for _, c := range bits {
			if c != ' ' {
				s.put(uint(c-'0'), 1)
			}
		}
		return s.b
	}
	for _, test := range []struct {
		name    string
		data    []byte
		size    int
		strict  error
		lenient error
		want    string // what a lenient one reads
	}{
		{"nothing", nil, 1, errTruncated, errTruncated, ""},
		{"reserved type", []byte{7}, 1, errBlockType, errBlockType, ""},
		{"stored", []byte{1, 2, 0, 0xfd, 0xff, 'a', 'b'}, 2, nil, nil, "ab"},
		{"stored lengths", []byte{1, 2, 0, 0xfe, 0xff, 'a', 'b'}, 2, errStored, errStored, ""},
		{"stored, short", []byte{1, 2, 0, 0xfd, 0xff, 'a'}, 2, errTruncated, errTruncated, ""},
		{"stored, without lengths", []byte{1, 2}, 2, errTruncated, errTruncated, ""},
		{"too long", []byte{1, 2, 0, 0xfd, 0xff, 'a', 'b'}, 1, errTooLong, errTooLong, ""},
		{"too short", []byte{1, 2, 0, 0xfd, 0xff, 'a', 'b'}, 3, errTooShort, errTooShort, ""},
		{"two blocks", []byte{0, 1, 0, 0xfe, 0xff, 'a', 1, 1, 0, 0xfe, 0xff, 'b'}, 2, nil, nil, "ab"},
		{"good", stream(dynamic(two, []uint8{1, 1}), "0 0 11 0 10"), 5, nil, nil, "aaaaa"},
		{"fixed", stream(new(bitString), "1 10 10010001 0000001 00000 0000000"), 4, nil, nil, "aaaa"},
		{"fixed, literal 286", stream(new(bitString), "1 10 11000110 0000000"), 4, errSymbol, errSymbol, ""},
		{"fixed, distance 30", stream(new(bitString), "1 10 10010001 0000001 11110 0000000"), 4, errSymbol, errSymbol, ""},
		{"fixed, truncated", []byte{3}, 1, errTruncated, errTruncated, ""},
		{"one distance", stream(dynamic(two, []uint8{1}), "0 11 0 10"), 4, errIncomplete, nil, "aaaa"},
		{"the other distance", stream(dynamic(two, []uint8{1}), "0 11 1 10"), 4, errIncomplete, errSymbol, ""},
		{"one distance of two bits", stream(dynamic(two, []uint8{2}), "0 11 00 10"), 4, errIncomplete, errIncomplete, ""},
		{"two distances of two bits", stream(dynamic(two, []uint8{2, 2}), "0 11 00 10"), 4, errIncomplete, errIncomplete, ""},
		{"no distance", stream(dynamic(two, []uint8{0}), "0 0 10"), 2, errIncomplete, nil, "aa"},
		{"no distance but a length", stream(dynamic(two, []uint8{0}), "0 11 0 10"), 4, errIncomplete, errSymbol, ""},
		{"three distances", stream(dynamic(two, []uint8{1, 1, 1}), "0 11 0 10"), 4, errOversubscribed, errOversubscribed, ""},
		{"before the start", stream(dynamic(two, []uint8{1, 1}), "0 11 1 10"), 4, errDistance, errDistance, ""},
		{"no end", stream(dynamic(lengths(257, map[int]uint8{0: 1, 1: 1}), []uint8{1, 1}), "0"), 1, errNoEnd, errNoEnd, ""},
		{"end alone", stream(dynamic(lengths(257, map[int]uint8{endOfBlock: 1}), []uint8{1, 1}), "0"), 0, errIncomplete, nil, ""},
		{"incomplete literals", stream(dynamic(lengths(257, map[int]uint8{'a': 2, endOfBlock: 2}), []uint8{1, 1}), "00 01"), 1, errIncomplete, errIncomplete, ""},
		{"287 literals", stream(dynamic(make([]uint8, 287), []uint8{1, 1}), ""), 1, errCodeCount, errCodeCount, ""},
		{"31 distances", stream(dynamic(two, make([]uint8, 31)), ""), 1, errCodeCount, errCodeCount, ""},
		{"no code lengths", stream(new(bitString), "1 01 00000 00000 0000 000 000 000 000 0000000"), 1, errIncomplete, errSymbol, ""},
		{"nothing to repeat", stream(new(bitString), "1 01 00000 00000 0000 100 100 000 000 0 00"), 1, errCodeRepeat, errCodeRepeat, ""},
		{"repeats too often", stream(new(bitString), "1 01 00000 00000 0000 000 100 100 000 1 1111111 1 1111111"), 1, errCodeRepeat, errCodeRepeat, ""},
	} {
		for _, lenient := range []bool{false, true} {
			want := test.strict
			if lenient {
				want = test.lenient
			}
			t.Run(fmt.Sprintf("%s, lenient %t", test.name, lenient), func(t *testing.T) {
				z := inflater{lenient: lenient}
				b := make([]byte, test.size+slack)
				_, err := z.inflate(b, 0, test.size, test.data)
				if !errors.Is(err, want) {
					t.Fatalf("got %v, want %v", err, want)
				}
				if got := string(b[:test.size]); err == nil && got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
				if err == nil && z.incomplete != (test.strict != nil) {
					t.Errorf("incomplete is %t", z.incomplete)
				}
			})
		}
	}
}

// FuzzInflate has streams that end in no panic, and that are the same for
// compress/flate if they are right.
func FuzzInflate(f *testing.F) {
	var z encoder
	z.level = levels[6]
	for _, b := range payloads(f) {
		for _, data := range encode(&z, new(plain), b[:min(len(b), 500)]) {
			f.Add(data, uint16(min(len(b), 500)))
		}
	}
	f.Add([]byte{1, 2, 0, 0xfd, 0xff, 'a', 'b'}, uint16(2))
	b := make([]byte, 1<<16+slack)
	strict, lenient := new(inflater), &inflater{lenient: true}
	f.Fuzz(func(t *testing.T, data []byte, size uint16) {
		_, lenientErr := lenient.inflate(b, 0, int(size), data)
		used, err := strict.inflate(b, 0, int(size), data)
		if err != nil {
			return
		}
		if lenientErr != nil {
			t.Errorf("strict reads what lenient does not: %v", lenientErr)
		}
		std, err := io.ReadAll(flate.NewReader(bytes.NewReader(data[:used])))
		if err != nil || !bytes.Equal(std, b[:size]) {
			t.Errorf("compress/flate reads something else, or says %v", err)
		}
	})
}
