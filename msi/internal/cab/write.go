package cab

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxFileSize is the size of the largest file that Write takes, in bytes: what
// 65,506 frames hold. One folder could hold 29 frames more, but if nothing in them
// could be compressed, the cabinet would pass 2 GiB, which readers with signed
// offsets do not.
const MaxFileSize = 65506 * frameSize

// splitSize is how many plain bytes go into a cabinet if they are of several files.
const splitSize = 1 << 30

// DefaultLevel is the level of compression that Options' zero value stands for.
const DefaultLevel = 6

// A File is a file to be written.
type File struct {
	Name       string    // 1 to 255 bytes of UTF-8; if they are not all ASCII, NameIsUTF is set
	Size       int64     // bytes, at most MaxFileSize
	ModTime    time.Time // written in UTC, with two seconds' resolution, as a year from 1980 to 2107
	Attributes uint16    // ReadOnly and so on; 0 is none

	// Open gives the content. It is called once, and it and all reading happen in
	// one goroutine, file by file in order, ahead of the compression; so a reader
	// can hash what passes through it. A content is read to its io.EOF, which must
	// come after Size bytes, and then closed.
	Open func() (io.ReadCloser, error)
}

// Options say how to write. The zero value is ready to use.
type Options struct {
	Level int // 1, fast, to 9, small; 0 is DefaultLevel
	Jobs  int // frames that are compressed at a time; 0 is as many as there are processors, up to 16
}

// A Cabinet is a cabinet that was written.
type Cabinet struct {
	Size        int64 // bytes
	First, Last int   // its first and last file, by index
}

// Write writes files, in order, to as many cabinets as they need: a further one
// begins before there are more than 65,535 files in one, or more than 1 GiB before
// compression unless it is one file. No file is split. Without files there is no
// cabinet.
//
// It calls create for each cabinet in turn, with its index, and writes from where
// the io.WriteSeeker is; it leaves it at the cabinet's end and does not close it.
// Seeking serves to put the cabinet's size into its header, at the end.
//
// The bytes are the same for any number of Jobs. Each compressed frame is decoded
// and compared with what it was made of before it is written. Memory does not grow
// with the files' sizes; Jobs take about 2.5 MB each.
//
// After an error, or when ctx is done, nothing runs on when Write returns; it waits
// for a Read that is under way.
func Write(ctx context.Context, files []File, create func(n int) (io.WriteSeeker, error), o Options) ([]Cabinet, error) {
	if o.Level < 0 || o.Level > 9 {
		return nil, fmt.Errorf("compression level %d is not one of 1 to 9", o.Level)
	}
	if err := check(files); err != nil {
		return nil, err
	}
	var cabinets []Cabinet
	p := newPipeline(o)
	for first := 0; first < len(files); {
		n, plain := fill(files[first:])
		w, err := create(len(cabinets))
		if err != nil {
			return nil, err
		}
		size, err := p.cabinet(ctx, w, files[first:first+n], plain)
		if err != nil {
			return nil, err
		}
		cabinets = append(cabinets, Cabinet{size, first, first + n - 1})
		first += n
	}
	return cabinets, nil
}

// check reports everything about files that cannot be written.
func check(files []File) error {
	var errs []error
	for _, f := range files {
		switch {
		case f.Name == "" || len(f.Name) > maxName || strings.ContainsRune(f.Name, 0) || !utf8.ValidString(f.Name):
			errs = append(errs, fmt.Errorf("a cabinet cannot hold a file named %q: names have 1 to %d bytes of UTF-8 without NUL", f.Name, maxName))
		case f.Size < 0 || f.Size > MaxFileSize:
			errs = append(errs, fmt.Errorf("a cabinet cannot hold %q of %d bytes: the most is %d", f.Name, f.Size, int64(MaxFileSize)))
		}
	}
	return errors.Join(errs...)
}

// fill says how many of files, which is not empty, go into one cabinet, and how
// many bytes they have.
func fill(files []File) (n int, plain int64) {
	for n < len(files) && n < maxFiles && (n == 0 || plain+files[n].Size <= splitSize) {
		plain += files[n].Size
		n++
	}
	return n, plain
}

// cabinet writes one cabinet, whose files have that many plain bytes together.
func (p *pipeline) cabinet(ctx context.Context, w io.WriteSeeker, files []File, plain int64) (int64, error) {
	start, err := w.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	size, err := writeHeader(w, files, plain)
	if err != nil {
		return 0, err
	}
	err = p.compress(ctx, files, func(data []byte) error {
		size += int64(len(data))
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		return 0, err
	}
	if _, err := w.Seek(start+sizeOffset, io.SeekStart); err != nil {
		return 0, err
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint32(nil, uint32(size))); err != nil {
		return 0, err
	}
	_, err = w.Seek(start+size, io.SeekStart)
	return size, err
}

// writeHeader writes all that stands before the first CFDATA, with 0 for the size
// of the cabinet, and returns how long it is.
func writeHeader(w io.Writer, files []File, plain int64) (int64, error) {
	size := int64(headerSize + folderSize)
	for _, f := range files {
		size += fileSize + int64(len(f.Name)) + 1
	}
	le := binary.LittleEndian
	b := make([]byte, 0, headerSize+folderSize)
	b = append(b, signature...)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, 0) // the size, later
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, headerSize+folderSize)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint16(b, version)
	b = le.AppendUint16(b, 1) // folders
	b = le.AppendUint16(b, uint16(len(files)))
	b = le.AppendUint16(b, 0) // flags
	b = le.AppendUint16(b, 0) // set
	b = le.AppendUint16(b, 0) // number in the set

	b = le.AppendUint32(b, uint32(size))
	b = le.AppendUint16(b, uint16((plain+frameSize-1)/frameSize))
	b = le.AppendUint16(b, methodMSZIP)

	bw := bufio.NewWriter(w)
	_, _ = bw.Write(b) // an error comes back from Flush
	offset := int64(0)
	for _, f := range files {
		date, clock := dosTime(f.ModTime)
		attributes := f.Attributes
		if !isASCII(f.Name) {
			attributes |= NameIsUTF
		}
		b = le.AppendUint32(b[:0], uint32(f.Size))
		b = le.AppendUint32(b, uint32(offset))
		b = le.AppendUint16(b, 0) // folder
		b = le.AppendUint16(b, date)
		b = le.AppendUint16(b, clock)
		b = le.AppendUint16(b, attributes)
		b = append(b, f.Name...)
		b = append(b, 0)
		_, _ = bw.Write(b)
		offset += f.Size
	}
	return size, bw.Flush()
}
