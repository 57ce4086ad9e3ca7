package msidb

import (
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/vpkg/vpkg/msi/internal/cfb"
)

// The names of streams are packed, as a compound file has room for 31 code units
// alone: two characters of base64 share one unit, and a unit marks a table. A name
// that begins with \x05, as that of the summary information, is kept as it is.
// Source: libmsi and Wine, encode_streamname.
const (
	alphabet  = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"
	twoChars  = 0x3800 // + first + second<<6
	oneChar   = 0x4800 // + first
	tableMark = 0x4840
)

// StreamName is the name that a stream of a database has in the compound file.
func StreamName(name string) ([]uint16, error) {
	var b []uint16
	if strings.HasPrefix(name, "\x05") {
		b = utf16.Encode([]rune(name))
	} else {
		b = pack(nil, name)
	}
	if len(b) == 0 || len(b) > cfb.MaxName {
		return nil, fmt.Errorf("stream name %q takes %d units, and may take 1 to %d", name, len(b), cfb.MaxName)
	}
	return b, nil
}

// tableStreamName is that of a table's stream.
func tableStreamName(table string) []uint16 { return pack([]uint16{tableMark}, table) }

func pack(b []uint16, name string) []uint16 {
	units := utf16.Encode([]rune(name))
	for len(units) > 0 {
		first := digit(units[0])
		switch {
		case first < 0:
			b = append(b, units[0])
		case len(units) > 1 && digit(units[1]) >= 0:
			b = append(b, uint16(twoChars+first+digit(units[1])<<6))
			units = units[1:]
		default:
			b = append(b, uint16(oneChar+first))
		}
		units = units[1:]
	}
	return b
}

// digit is what a character counts in base64, or -1.
func digit(c uint16) int {
	if c >= 0x80 {
		return -1
	}
	return strings.IndexByte(alphabet, byte(c))
}

// unpack gives the name of a stream, and whether it is that of a table.
func unpack(b []uint16) (name string, table bool) {
	if len(b) > 0 && b[0] == tableMark {
		b, table = b[1:], true
	}
	var units []uint16
	for _, c := range b {
		switch {
		case c >= twoChars && c < oneChar:
			units = append(units, uint16(alphabet[c&0x3f]), uint16(alphabet[(c-twoChars)>>6]))
		case c >= oneChar && c < oneChar+64:
			units = append(units, uint16(alphabet[c-oneChar]))
		default:
			units = append(units, c)
		}
	}
	return string(utf16.Decode(units)), table
}
