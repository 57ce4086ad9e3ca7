package ar

import "io"

// NewAppender returns a Writer of further members behind an archive that is written
// already. The archive has to end with the new line of its last member, if that is
// of odd size.
func NewAppender(w io.Writer) *Writer { return &Writer{w: w, head: true} }

// Start is the offset of the member's header, in bytes from the start of the archive.
func (m Member) Start() int64 { return m.Offset - headerSize }

// End is the offset of what follows the member.
func (m Member) End() int64 { return m.Offset + m.Size + m.Size%2 }
