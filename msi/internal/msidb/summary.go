package msidb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// Summary is the summary information: a property set of [MS-OLEPS] in the stream
// "\x05SummaryInformation". What is zero is not there. Properties that are not among
// these are not read.
//
// [MS-OLEPS]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-oleps/
type Summary struct {
	Codepage    int       // PID 1; of the strings below
	Title       string    // 2: "Installation Database"
	Subject     string    // 3: the product's name
	Author      string    // 4: the maker
	Keywords    string    // 5: "Installer,MSI"
	Comments    string    // 6
	Template    string    // 7: "x64;1033", "Arm64;1033", "Intel;1033"
	LastAuthor  string    // 8
	PackageCode string    // 9, "revision number": a GUID with braces
	Created     time.Time // 12; UTC when read, kept to 100 ns
	Saved       time.Time // 13
	Schema      int       // 14, "page count": least version of Windows Installer times 100
	Source      int       // 15, "word count": bits, 2 is compressed
	Application string    // 18: what made it
	Security    int       // 19: 2 is read-only recommended
}

const (
	summaryName = "\x05SummaryInformation"
	// FMTID_SummaryInformation, {F29F85E0-4FF9-1068-AB91-08002B27B3D9}.
	summaryFormat = "\xe0\x85\x9f\xf2\xf9\x4f\x68\x10\xab\x91\x08\x00\x2b\x27\xb3\xd9"

	typeInt16    = 2  // VT_I2
	typeInt32    = 3  // VT_I4
	typeText     = 30 // VT_LPSTR
	typeFiletime = 64 // VT_FILETIME
)

// A property is a place in a Summary. Its type says what its value is in the file.
type property struct {
	id, kind uint32
	text     *string
	number   *int
	time     *time.Time
}

// properties are those of a Summary in the order of their ids.
func (s *Summary) properties() []property {
	return []property{
		{id: 1, kind: typeInt16, number: &s.Codepage},
		{id: 2, kind: typeText, text: &s.Title},
		{id: 3, kind: typeText, text: &s.Subject},
		{id: 4, kind: typeText, text: &s.Author},
		{id: 5, kind: typeText, text: &s.Keywords},
		{id: 6, kind: typeText, text: &s.Comments},
		{id: 7, kind: typeText, text: &s.Template},
		{id: 8, kind: typeText, text: &s.LastAuthor},
		{id: 9, kind: typeText, text: &s.PackageCode},
		{id: 12, kind: typeFiletime, time: &s.Created},
		{id: 13, kind: typeFiletime, time: &s.Saved},
		{id: 14, kind: typeInt32, number: &s.Schema},
		{id: 15, kind: typeInt32, number: &s.Source},
		{id: 18, kind: typeText, text: &s.Application},
		{id: 19, kind: typeInt32, number: &s.Security},
	}
}

// encode is the stream, [MS-OLEPS] 2.21:
//
//	 0  2   byte order: fffe
//	 2  2   version 0
//	 4  4   system: Windows 6.0
//	 8  16  CLSID, zero
//	24  4   number of property sets: 1
//	28  16  FMTID
//	44  4   offset of the property set: 48
//	48  4   bytes of the property set
//	52  4   number of properties
//	56  8 × properties, each: id, offset from 48
//
// and then the values, each a type of four bytes, what the type says, and zeros to a
// multiple of four.
func (s Summary) encode() ([]byte, error) {
	if err := checkCodepage(s.Codepage); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	var errs []error
	var index, values []byte
	var offsets []int
	for _, p := range s.properties() {
		b, err := p.encode(s.Codepage)
		if err != nil {
			errs = append(errs, fmt.Errorf("property %d: %w", p.id, err))
		}
		if len(b) == 0 {
			continue
		}
		index = le.AppendUint32(index, p.id)
		offsets = append(offsets, len(values))
		values = append(values, b...)
		values = append(values, make([]byte, -len(values)&3)...)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}

	b := le.AppendUint16(nil, 0xfffe)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint32(b, 0x00020006)
	b = append(b, make([]byte, 16)...)
	b = le.AppendUint32(b, 1)
	b = append(b, summaryFormat...)
	b = le.AppendUint32(b, 48)
	first := 8 + 8*len(offsets)
	b = le.AppendUint32(b, uint32(first+len(values)))
	b = le.AppendUint32(b, uint32(len(offsets)))
	for i, at := range offsets {
		b = append(b, index[4*i:4*i+4]...)
		b = le.AppendUint32(b, uint32(first+at))
	}
	return append(b, values...), nil
}

// encode is the value of a property, or nothing if it is zero.
func (p property) encode(codepage int) ([]byte, error) {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, p.kind)
	switch {
	case p.text != nil && *p.text != "":
		s, err := encodeText(codepage, *p.text)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", shorten(*p.text), err)
		}
		b = le.AppendUint32(b, uint32(len(s)+1))
		return append(append(b, s...), 0), nil
	case p.time != nil && !p.time.IsZero():
		t, err := filetime(*p.time)
		return le.AppendUint64(b, t), err
	case p.number != nil && *p.number != 0 && p.kind == typeInt16:
		return le.AppendUint16(b, uint16(*p.number)), nil // all code pages fit
	case p.number != nil && *p.number != 0:
		if int(int32(*p.number)) != *p.number {
			return nil, fmt.Errorf("%d does not fit into 32 bits", *p.number)
		}
		return le.AppendUint32(b, uint32(*p.number)), nil
	}
	return nil, nil
}

// Seconds from 1601, when the time of Windows begins, to that of Unix.
const epoch1601 = 11644473600

// filetime is a time in units of 100 ns since 1601.
func filetime(t time.Time) (uint64, error) {
	seconds := t.Unix() + epoch1601
	if seconds < 0 || seconds >= math.MaxUint64/10_000_000 {
		return 0, fmt.Errorf("the time %v is out of range", t)
	}
	return uint64(seconds)*1e7 + uint64(t.Nanosecond()/100), nil
}

func fromFiletime(t uint64) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.Unix(int64(t/1e7)-epoch1601, int64(t%1e7)*100).UTC()
}

// decodeSummary reads the stream. Values of other types than expected are as if they
// were not there.
func decodeSummary(b []byte) (Summary, error) {
	var s Summary
	le := binary.LittleEndian
	if len(b) < 48 || le.Uint16(b) != 0xfffe || string(b[28:44]) != summaryFormat {
		return s, errors.New("it does not begin as a property set of this kind")
	}
	at := uint64(le.Uint32(b[44:]))
	if at+8 > uint64(len(b)) {
		return s, errors.New("it ends before the property set")
	}
	b = b[at:]
	count := uint64(le.Uint32(b[4:]))
	if 8+8*count > uint64(len(b)) {
		return s, fmt.Errorf("%d properties do not fit in %d bytes", count, len(b))
	}
	// The first property is the code page that the others need.
	for _, p := range s.properties() {
		for i := range count {
			if le.Uint32(b[8+8*i:]) != p.id {
				continue
			}
			off := uint64(le.Uint32(b[12+8*i:]))
			if off > uint64(len(b)) {
				return s, fmt.Errorf("property %d is beyond the end", p.id)
			}
			if err := p.decode(b[off:], s.Codepage); err != nil {
				return s, fmt.Errorf("property %d: %w", p.id, err)
			}
		}
	}
	return s, nil
}

// decode reads the value of a property.
func (p property) decode(b []byte, codepage int) error {
	le := binary.LittleEndian
	if len(b) < 8 {
		return errors.New("it is cut off")
	}
	kind, value := le.Uint32(b), b[4:]
	switch {
	case p.number != nil && kind == typeInt16 && p.kind == typeInt16:
		*p.number = int(le.Uint16(value))
		return checkCodepage(*p.number)
	case p.number != nil && kind == typeInt16:
		*p.number = int(int16(le.Uint16(value)))
	case p.number != nil && kind == typeInt32 && p.kind == typeInt32:
		*p.number = int(int32(le.Uint32(value)))
	case p.time != nil && kind == typeFiletime:
		if len(value) < 8 {
			return errors.New("it is cut off")
		}
		*p.time = fromFiletime(le.Uint64(value))
	case p.text != nil && kind == typeText:
		n := uint64(le.Uint32(value))
		value = value[4:]
		if n > uint64(len(value)) {
			return fmt.Errorf("a string of %d bytes, of which %d are there", n, len(value))
		}
		value = value[:n]
		for len(value) > 0 && value[len(value)-1] == 0 {
			value = value[:len(value)-1]
		}
		*p.text = decodeText(codepage, value)
	}
	return nil
}
