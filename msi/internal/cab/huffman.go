package cab

import (
	"math/bits"
	"slices"
)

// maxSymbols is the most symbols that an alphabet has.
const maxSymbols = numLiterals

// A tree is the canonical Huffman code of one alphabet. It always has at least two
// codes and is complete: no string of bits is left without a meaning. Readers are
// known that refuse anything else, although RFC 1951 allows a single distance.
type tree struct {
	codes   [maxSymbols]uint16 // as they are written, the first bit lowest
	lengths [maxSymbols]uint8  // bits, 0 for symbols that do not occur

	leaves [maxSymbols]uint32     // frequency and symbol
	nodes  [2 * maxSymbols]uint32 // frequencies, then parents, then depths
}

const symbolBits = 9

// build makes the code for freq, which it changes to have two symbols at least. No
// code is longer than limit bits.
func (t *tree) build(freq []uint32, limit int) {
	leaves := t.leaves[:0]
	for s, f := range freq {
		if f > 0 {
			leaves = append(leaves, f<<symbolBits|uint32(s))
		}
	}
	for s := 0; len(leaves) < 2; s++ {
		if freq[s] == 0 {
			freq[s] = 1
			leaves = append(leaves, 1<<symbolBits|uint32(s))
		}
	}
	slices.Sort(leaves)

	// Nodes are made in the order of their frequency: the leaves are one sorted queue
	// and the inner nodes, which follow them, another.
	n := len(leaves)
	nodes := t.nodes[:2*n-1]
	for i, l := range leaves {
		nodes[i] = l >> symbolBits
	}
	leaf, inner := 0, n
	for made := n; made < len(nodes); made++ {
		var sum uint32
		for range 2 {
			if leaf < n && (inner >= made || nodes[leaf] <= nodes[inner]) {
				sum += nodes[leaf]
				nodes[leaf] = uint32(made)
				leaf++
			} else {
				sum += nodes[inner]
				nodes[inner] = uint32(made)
				inner++
			}
		}
		nodes[made] = sum
	}
	var count [64]int // leaves of each depth
	nodes[len(nodes)-1] = 0
	over := 0 // what leaves that are too deep take up too much, in leaves of depth limit
	for i := len(nodes) - 2; i >= 0; i-- {
		depth := nodes[nodes[i]] + 1
		nodes[i] = depth
		if i < n {
			count[min(int(depth), limit)]++
		}
	}
	for d := 1; d <= limit; d++ {
		over += count[d] << (limit - d)
	}
	over -= 1 << limit
	// A leaf of depth limit moves up to become the sibling of another, higher one,
	// which gives one place back each time.
	for ; over > 0; over-- {
		d := limit - 1
		for count[d] == 0 {
			d--
		}
		count[d]--
		count[d+1] += 2
		count[limit]--
	}

	clear(t.lengths[:])
	var next [maxBits + 1]uint16
	code, i := 0, 0
	for d := limit; d > 0; d-- {
		for range count[d] {
			t.lengths[leaves[i]&(1<<symbolBits-1)] = uint8(d)
			i++
		}
	}
	for d := 1; d <= limit; d++ {
		code = (code + count[d-1]) << 1
		next[d] = uint16(code)
	}
	for s, d := range t.lengths[:len(freq)] {
		if d > 0 {
			t.codes[s] = bits.Reverse16(next[d]) >> (16 - d)
			next[d]++
		}
	}
}
