package payload

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os/exec"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
)

// TestNewReader reads what other tools make.
func TestNewReader(t *testing.T) {
	want := someBytes(300_000, 1)
	for _, tt := range []struct {
		codec   string
		command []string
	}{
		{"zstd", []string{"zstd", "-qc"}},
		{"gzip", []string{"gzip", "-c"}},
		{"xz", []string{"xz", "-c"}},
		{"xz", []string{"xz", "-c", "-T2", "--block-size=100000"}},
		{"lzma", []string{"xz", "-c", "--format=lzma"}},
		{"bzip2", []string{"bzip2", "-c"}},
		{"none", []string{"cat"}},
	} {
		t.Run(tt.codec, func(t *testing.T) {
			oracle.Need(t, tt.command[0])
			cmd := exec.Command(tt.command[0], tt.command[1:]...)
			cmd.Stdin = bytes.NewReader(want)
			b, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if got := decoded(t, tt.codec, b); !bytes.Equal(got, want) {
				t.Errorf("%v: read %d bytes that are not what was compressed", tt.command, len(got))
			}
			if tt.codec == "none" {
				return
			}
			if err := readAll(tt.codec, b[:len(b)/2]); err == nil {
				t.Errorf("%v: half of a file is read without an error", tt.command)
			}
			if err := readAll(tt.codec, nil); err == nil && tt.codec != "zstd" { // for which no frames are no bytes
				t.Errorf("%v: nothing is read without an error", tt.command)
			}
		})
	}
}

func readAll(codec string, b []byte) error {
	r, err := NewReader(codec, bytes.NewReader(b))
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	return r.Close()
}

// TestHugeWindow declares windows of 1 GiB and more.
func TestHugeWindow(t *testing.T) {
	zstd := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, (30 - 10) << 3, 1, 0, 0}
	block := []byte{2, 0, 0x21, 1, 36, 0, 0, 0} // 36: 1 GiB
	xz := append(xzHead(), binary.LittleEndian.AppendUint32(block, crc32.ChecksumIEEE(block))...)
	xz = append(xz, 1, 0, 0, 'x', 0)
	lzma := append([]byte{0x5d, 0, 0, 0, 0x40}, bytes.Repeat([]byte{0xff}, 8)...)
	lzma = append(lzma, make([]byte, 100)...)
	for codec, b := range map[string][]byte{"zstd": zstd, "xz": xz, "lzma": lzma} {
		if err := readAll(codec, b); err == nil {
			t.Errorf("%s: a window of 1 GiB is no error", codec)
		} else {
			t.Logf("%s: %v", codec, err)
		}
	}
}

// FuzzFrames has each codec make a payload of stored and compressed frames, and
// reads it back.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("a header"), []byte("content"), uint16(3), uint8(0))
	f.Add([]byte{}, []byte{0}, uint16(2000), uint8(2))
	f.Add(bytes.Repeat([]byte("x"), storedSize), []byte("yz"), uint16(0xffff), uint8(4))
	f.Add(someBytes(storedSize-1, 1), someBytes(300, 2), uint16(255), uint8(9))
	all := []codec{zstdCodec(1), zstdCodec(3), gzipCodec(1), xzCodec(1), noCodec()}
	encoders := make([]encoder, len(all))
	for i := range all {
		var err error
		if encoders[i], err = all[i].newEncoder(); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, header, content []byte, repeat uint16, which uint8) {
		c, e := &all[int(which)%len(all)], encoders[int(which)%len(all)]
		header = header[:min(len(header), storedSize)]
		content = bytes.Repeat(content[:min(len(content), 100)], int(repeat))
		payload := bytes.NewBuffer(bytes.Clone(c.head))
		var frames []*frame
		for range 3 {
			s := newStoredFrame(c, header)
			payload.Write(s.stored)
			m := &frame{plain: int64(len(content))}
			if err := e.encode(&frameWriter{f: m, w: payload, h: sha256.New()}, content); err != nil {
				t.Fatal(err)
			}
			frames = append(frames, s, m)
		}
		if c.tail != nil {
			tail, err := c.tail(frames)
			if err != nil {
				t.Fatal(err)
			}
			payload.Write(tail)
		}
		want := bytes.Repeat(append(bytes.Clone(header), content...), 3)
		if got := decoded(t, c.name, payload.Bytes()); !bytes.Equal(got, want) {
			t.Errorf("%s: read %d bytes that are not the %d that were written", c.id, len(got), len(want))
		}
	})
}

func FuzzNewReader(f *testing.F) {
	for i, c := range codecs {
		s, err := TempStore()
		if err != nil {
			f.Fatal(err)
		}
		steps, _ := makeSteps(100, 1200)
		e := encode(f, s, packaging.Compression{Codec: c.Codec, Level: c.Level}, 1, 1000, steps[:4])
		f.Add(uint8(i), written(f, e))
		if err := s.Close(); err != nil {
			f.Fatal(err)
		}
	}
	names := []string{"zstd", "gzip", "xz", "lzma", "bzip2", "none"}
	f.Fuzz(func(_ *testing.T, which uint8, b []byte) {
		r, err := NewReader(names[int(which)%len(names)], bytes.NewReader(b))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(r, 10<<20)) // any error will do, but no panic
		_ = r.Close()                                         // gives the same error again
	})
}
