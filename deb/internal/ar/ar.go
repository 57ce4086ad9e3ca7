// Package ar writes and reads the archives that a .deb file is made of.
//
// The format is the common one of ar(5): a magic line, and for each member a
// header of 60 bytes, the content, and a new line where the content's size is
// odd. Names of more than 15 bytes, symbol tables and name tables, which System V
// and BSD put into extra members, are not supported: deb(5) needs none.
package ar

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// A header has text fields, padded with spaces:
//
//	 0 16  name
//	16 12  modification time, decimal seconds since 1970
//	28  6  owner, decimal
//	34  6  group, decimal
//	40  8  mode with file type, octal
//	48 10  size of the content, decimal
//	58  2  "`\n"
const (
	magic      = "!<arch>\n"
	headerSize = 60
	headerEnd  = "`\n"

	// MaxSize is the largest content that the ten digits of a header can state, in
	// bytes.
	MaxSize = 9_999_999_999
)

// A Header describes one member.
type Header struct {
	Name    string    // at most 15 bytes, without spaces and slashes
	ModTime time.Time // in whole seconds from 1970 on
	Size    int64     // bytes of content, at most MaxSize
}

// A Writer writes an archive: Next begins a member, Write gives its content,
// Close ends the last one.
type Writer struct {
	w    io.Writer
	name string
	left int64 // bytes of the member's content that are still to come
	odd  bool  // the content needs a new line after it
	head bool  // the magic line is written
}

// NewWriter returns a Writer that writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Next ends the member before and begins the one that h describes, a file of
// root's with mode 0644.
func (w *Writer) Next(h Header) error {
	switch {
	case h.Name == "" || len(h.Name) > 15 || strings.ContainsAny(h.Name, " /\n"):
		return fmt.Errorf("ar member %q: want a name of 1 to 15 bytes without spaces and slashes", h.Name)
	case h.Size < 0 || h.Size > MaxSize:
		return fmt.Errorf("ar member %s: %d bytes do not fit the format, which ends at %d", h.Name, h.Size, int64(MaxSize))
	case h.ModTime.Unix() < 0 || h.ModTime.Unix() > 999_999_999_999:
		return fmt.Errorf("ar member %s: time %v does not fit the format", h.Name, h.ModTime)
	}
	if err := w.Close(); err != nil {
		return err
	}
	padding := strings.Repeat(" ", 16-len(h.Name)) // in bytes: %-16s counts characters
	text := fmt.Sprintf("%s%-12d%-6d%-6d%-8o%-10d%s", h.Name+padding, h.ModTime.Unix(), 0, 0, 0o100644, h.Size, headerEnd)
	w.name, w.left, w.odd = h.Name, h.Size, h.Size%2 == 1
	_, err := io.WriteString(w.w, text)
	return err
}

// Write writes content of the member that Next began.
func (w *Writer) Write(p []byte) (int, error) {
	if int64(len(p)) > w.left {
		return 0, fmt.Errorf("ar member %s: content is longer than its header says", w.name)
	}
	n, err := w.w.Write(p)
	w.left -= int64(n)
	return n, err
}

// Close ends the archive. It does not close the writer below.
func (w *Writer) Close() error {
	if w.left > 0 {
		return fmt.Errorf("ar member %s: content is %d bytes shorter than its header says", w.name, w.left)
	}
	end := ""
	if !w.head {
		end, w.head = magic, true
	}
	if w.odd {
		end, w.odd = "\n", false
	}
	_, err := io.WriteString(w.w, end)
	return err
}

// A Member is one member of an archive that is read.
type Member struct {
	Header
	Offset  int64 // of the content, in bytes from the start of the archive
	Content *io.SectionReader
}

// A FormatError says where an archive is not what it should be.
type FormatError struct {
	Offset int64 // bytes from the start of the archive
	Err    error
}

func (e *FormatError) Error() string { return fmt.Sprintf("ar, offset %d: %v", e.Offset, e.Err) }

// Unwrap returns Err.
func (e *FormatError) Unwrap() error { return e.Err }

// ErrTooMany is the cause of the FormatError for more members than allowed.
var ErrTooMany = errors.New("too many members")

// Read lists the members of an archive of size bytes, and gives an error if it
// is no archive, cut off, or has more than limit members. It reads no content.
func Read(r io.ReaderAt, size int64, limit int) ([]Member, error) {
	var head [headerSize]byte
	if err := readAt(r, head[:len(magic)], 0, size); err != nil {
		return nil, err
	}
	if string(head[:len(magic)]) != magic {
		return nil, &FormatError{0, fmt.Errorf("file begins with %q, want %q", head[:len(magic)], magic)}
	}
	var ms []Member
	for at := int64(len(magic)); at < size; {
		if len(ms) == limit {
			return nil, &FormatError{at, ErrTooMany}
		}
		if err := readAt(r, head[:], at, size); err != nil {
			return nil, err
		}
		h, err := parseHeader(string(head[:]))
		if err != nil {
			return nil, &FormatError{at, err}
		}
		at += headerSize
		if h.Size > size-at {
			return nil, &FormatError{at, fmt.Errorf("member %q has %d bytes, and the file only %d more: %w", h.Name, h.Size, size-at, io.ErrUnexpectedEOF)}
		}
		ms = append(ms, Member{h, at, io.NewSectionReader(r, at, h.Size)})
		at += h.Size
		if h.Size%2 == 1 {
			if err := readAt(r, head[:1], at, size); err != nil {
				return nil, err
			}
			at++
		}
	}
	return ms, nil
}

// readAt fills b from the given offset.
func readAt(r io.ReaderAt, b []byte, at, size int64) error {
	if int64(len(b)) > size-at {
		return &FormatError{size, io.ErrUnexpectedEOF}
	}
	if n, err := r.ReadAt(b, at); n < len(b) {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return &FormatError{at + int64(n), err}
	}
	return nil
}

func parseHeader(s string) (Header, error) {
	if !strings.HasSuffix(s, headerEnd) {
		return Header{}, fmt.Errorf("header ends with %q, want %q", s[headerSize-2:], headerEnd)
	}
	// Some tools end the name with a slash, as System V's ar does.
	name := strings.TrimSuffix(strings.TrimRight(s[:16], " "), "/")
	if name == "" {
		return Header{}, fmt.Errorf("member name %q is empty", s[:16])
	}
	seconds, err := parseNumber(s[16:28])
	if err != nil {
		return Header{}, fmt.Errorf("member %q: time: %w", name, err)
	}
	size, err := parseNumber(s[48:58])
	if err != nil {
		return Header{}, fmt.Errorf("member %q: size: %w", name, err)
	}
	return Header{Name: name, ModTime: time.Unix(seconds, 0).UTC(), Size: size}, nil
}

// parseNumber reads a field of at most twelve decimal digits padded with spaces.
func parseNumber(field string) (int64, error) {
	digits := strings.TrimRight(field, " ")
	if digits == "" {
		return 0, errors.New("field is empty")
	}
	var n int64
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%q is not a decimal number", digits)
		}
		n = n*10 + int64(c-'0')
	}
	return n, nil
}
