package rpm

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// An entry is one tag of a header with its values, encoded as they stand in the
// header's store.
type entry struct {
	tag   tag
	typ   dataType
	count uint32 // values in data
	data  []byte // big-endian numbers, or strings that each end in NUL
	// large is where the data of an entry that was read is in the file, if that is
	// more than inlineData; data is nil then.
	large span
}

// A span is a part of a file. Its zero value is none.
type span struct{ offset, size int64 } // bytes

// size is how many bytes the data has.
func (e *entry) size() int64 { return int64(len(e.data)) + e.large.size }

// A header is a list of entries, in any order: encode sorts them. Both headers
// of a package, the signature header and the main one, have the same form: a
// preamble, an index sorted by tag, and a store that the index points into.
//
//	 0  4  magic 8e ad e8 and version 01
//	 4  4  reserved, zero
//	 8  4  number of index entries
//	12  4  bytes of the store
//	16  16 × entries, each: tag, type, offset into the store, count
//	 …     store; numbers are aligned to their size
//
// The first entry is the region, which says what part of the header its digests
// cover. It has 16 bytes at the end of the store, which look like an index entry
// with the size of the index as negative offset.
type header []entry

const (
	preambleSize = 16 // bytes
	indexSize    = 16 // bytes of one index entry
)

var headerMagic = [8]byte{0x8e, 0xad, 0xe8, 0x01}

func (h *header) addString(t tag, s string) {
	*h = append(*h, entry{tag: t, typ: typeString, count: 1, data: append([]byte(s), 0)})
}

// addText adds a string that may be translated, in the C locale only.
func (h *header) addText(t tag, s string) {
	*h = append(*h, entry{tag: t, typ: typeI18NString, count: 1, data: append([]byte(s), 0)})
}

func (h *header) addStrings(t tag, ss []string) {
	var b []byte
	for _, s := range ss {
		b = append(append(b, s...), 0)
	}
	*h = append(*h, entry{tag: t, typ: typeStringArray, count: uint32(len(ss)), data: b})
}

func (h *header) addBytes(t tag, b []byte) {
	*h = append(*h, entry{tag: t, typ: typeBin, count: uint32(len(b)), data: b})
}

func (h *header) addUint16s(t tag, ns []uint16) {
	b := make([]byte, 0, 2*len(ns))
	for _, n := range ns {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	*h = append(*h, entry{tag: t, typ: typeInt16, count: uint32(len(ns)), data: b})
}

func (h *header) addUint32s(t tag, ns ...uint32) {
	b := make([]byte, 0, 4*len(ns))
	for _, n := range ns {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	*h = append(*h, entry{tag: t, typ: typeInt32, count: uint32(len(ns)), data: b})
}

func (h *header) addUint64s(t tag, ns ...uint64) {
	b := make([]byte, 0, 8*len(ns))
	for _, n := range ns {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	*h = append(*h, entry{tag: t, typ: typeInt64, count: uint32(len(ns)), data: b})
}

// encode gives the header with region as its first entry.
func (h header) encode(region tag) []byte {
	entries := slices.Clone(h)
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.tag, b.tag) })
	be := binary.BigEndian
	index := make([]byte, 0, (len(entries)+1)*indexSize)
	var store []byte
	appendIndex := func(b []byte, t tag, typ dataType, offset int32, count uint32) []byte {
		b = be.AppendUint32(b, uint32(t))
		b = be.AppendUint32(b, uint32(typ))
		b = be.AppendUint32(b, uint32(offset))
		return be.AppendUint32(b, count)
	}
	index = index[:indexSize] // the region's, once the size of the store is known
	for _, e := range entries {
		if n := e.typ.size(); n > 1 {
			store = append(store, make([]byte, -len(store)&(n-1))...)
		}
		index = appendIndex(index, e.tag, e.typ, int32(len(store)), e.count)
		store = append(store, e.data...)
	}
	appendIndex(index[:0], region, typeBin, int32(len(store)), indexSize)
	store = appendIndex(store, region, typeBin, -int32(len(index)), indexSize)

	b := make([]byte, 0, preambleSize+len(index)+len(store))
	b = append(b, headerMagic[:]...)
	b = be.AppendUint32(b, uint32(len(entries)+1))
	b = be.AppendUint32(b, uint32(len(store)))
	b = append(b, index...)
	return append(b, store...)
}
