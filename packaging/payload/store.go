package payload

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// A Store keeps compressed frames, and what is known about payloads made of
// them, in a folder:
//
//	lock         held shared by each open Store, exclusively while files are removed
//	tmp/         frames in the making
//	frames/ab/…  frames by key: see frame.go
//	lists/ab/…   what is known of a list of frames: its digests, whether it was read back
//	md5          MD5 sums by SHA-256, for DEB
//
// Any number of Stores, in any number of processes, may use the same folder at
// once. Nobody waits for anybody: files appear under their names complete, by
// renaming. Files are removed, those longest unused first, only by a Store that is
// alone: so what an Encoded needs stays as long as its Store is open.
type Store struct {
	dir     string
	limit   int64 // bytes; 0 means none
	lock    *os.File
	private bool // the folder goes with the Store

	// What a Writer has given back, so that many packages need hardly more memory
	// than one. What no other takes soon is the garbage collector's.
	buffers  sync.Pool // of *[]byte, each of frameSize
	encoders sync.Map  // of *sync.Pool of encoder, by the codec's id
}

// layoutVersion is part of the folder's name: another layout gets another folder.
const layoutVersion = "1"

// abandoned is how old a file in tmp/ is when its process must be gone: making a
// frame takes seconds, reading all of a body's perhaps an hour.
const abandoned = 24 * time.Hour

// OpenStore opens the store in dir, and makes it where there is none. When the
// last process that uses it closes it, it shrinks to limit bytes; 0 means that it
// grows without limit.
func OpenStore(dir string, limit int64) (*Store, error) {
	s := &Store{dir: filepath.Join(dir, "v"+layoutVersion), limit: limit}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("opening frame store %s: %w", dir, err)
	}
	s.removeAbandoned()
	return s, nil
}

// TempStore opens a store of its own in the folder for temporary files. Close
// removes it.
func TempStore() (*Store, error) {
	removeAbandonedStores()
	dir, err := os.MkdirTemp("", tempStores)
	if err != nil {
		return nil, fmt.Errorf("making a frame store: %w", err)
	}
	s := &Store{dir: dir, private: true}
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("making a frame store: %w", err), os.RemoveAll(dir))
	}
	return s, nil
}

func (s *Store) open() error {
	for _, d := range []string{"tmp", "frames", "lists"} {
		if err := os.MkdirAll(filepath.Join(s.dir, d), 0o700); err != nil {
			return err
		}
	}
	var err error
	if s.lock, err = os.OpenFile(filepath.Join(s.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	if err := share(s.lock); err != nil {
		return errors.Join(fmt.Errorf("locking %s: %w", s.lock.Name(), err), s.lock.Close())
	}
	probe, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "probe-*")
	if err != nil {
		return errors.Join(err, s.lock.Close())
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// Close gives the store back, and removes what is over its limit if no other
// process uses it. Encodeds of the store cannot be written any more.
func (s *Store) Close() error {
	if s.lock == nil {
		return nil
	}
	var err error
	if !s.private && s.limit > 0 && own(s.lock) == nil { // otherwise the last one to close does it
		err = s.evict()
	}
	err = errors.Join(err, s.lock.Close())
	s.lock = nil
	if s.private {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	if err != nil {
		return fmt.Errorf("closing frame store %s: %w", s.dir, err)
	}
	return nil
}

// removeAbandoned removes what interrupted processes left in tmp/. It is not an
// error when it cannot.
func (s *Store) removeAbandoned() {
	dir := filepath.Join(s.dir, "tmp")
	files, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, f := range files {
		if fi, err := f.Info(); err == nil && time.Since(fi.ModTime()) > abandoned {
			_ = os.Remove(filepath.Join(dir, f.Name())) // perhaps another process was faster
		}
	}
}

// tempStores is the pattern of the folders that TempStore makes.
const tempStores = "vpkg-frames-*"

// removeAbandonedStores removes the TempStores of interrupted processes: old ones
// that nobody has locked. It is not an error when it cannot.
func removeAbandonedStores() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), tempStores))
	for _, dir := range dirs {
		fi, err := os.Stat(dir)
		if err != nil || time.Since(fi.ModTime()) < abandoned {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
		if err != nil {
			continue // somebody else's
		}
		abandoned := own(lock) == nil
		_ = lock.Close() // was only opened for its lock
		if abandoned {
			_ = os.RemoveAll(dir) // perhaps another process was faster
		}
	}
}

// evict removes the files that were not used for longest until the store has at
// most limit bytes.
func (s *Store) evict() error {
	type file struct {
		path string
		size int64
		used time.Time
	}
	var files []file
	var total int64
	for _, d := range []string{"frames", "lists"} {
		err := filepath.WalkDir(filepath.Join(s.dir, d), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			fi, err := e.Info()
			if err != nil {
				return err
			}
			files = append(files, file{path, fi.Size(), fi.ModTime()})
			total += fi.Size()
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	slices.SortFunc(files, func(a, b file) int {
		if c := a.used.Compare(b.used); c != 0 {
			return c
		}
		return strings.Compare(a.path, b.path)
	})
	for _, f := range files {
		if total <= s.limit {
			return nil
		}
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= f.size
	}
	return nil
}

// path is where the file with the given key is in the folder kind.
func (s *Store) path(kind string, key packaging.Digest) string {
	h := key.String()
	return filepath.Join(s.dir, kind, h[:2], h[2:])
}

// temp makes a file that publish gives its name.
func (s *Store) temp() (*os.File, error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "frame-*")
	if err != nil {
		return nil, fmt.Errorf("frame store: %w", err)
	}
	return f, nil
}

// publish moves a complete temporary file to its name.
func (s *Store) publish(temp, kind string, key packaging.Digest) error {
	path := s.path(kind, key)
	err := os.Rename(temp, path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("frame store: %w", err)
		}
		err = os.Rename(temp, path)
	}
	if err == nil {
		return nil
	}
	if _, ok := s.lookup(key); ok && kind == "frames" { // Windows does not replace a file that is open
		return os.Remove(temp)
	}
	return fmt.Errorf("frame store: %w", err)
}

// getBuffer gives a buffer of frameSize.
func (s *Store) getBuffer() []byte {
	if b, ok := s.buffers.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, frameSize)
}

// putBuffer keeps a buffer for the next Writer.
func (s *Store) putBuffer(b []byte) { s.buffers.Put(&b) }

// getEncoder gives an encoder of c.
func (s *Store) getEncoder(c *codec) (encoder, error) {
	if pool, ok := s.encoders.Load(c.id); ok {
		if e, ok := pool.(*sync.Pool).Get().(encoder); ok {
			return e, nil
		}
	}
	return c.newEncoder()
}

// putEncoder keeps an encoder for the next Writer.
func (s *Store) putEncoder(c *codec, e encoder) {
	pool, _ := s.encoders.LoadOrStore(c.id, new(sync.Pool))
	pool.(*sync.Pool).Put(e)
}

// digestOf is the SHA-256 of parts, each ended by a zero byte.
func digestOf(parts ...string) packaging.Digest {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return packaging.Digest(h.Sum(nil))
}

// bodyKey is the key of the frame that holds length bytes of a body from offset on.
func bodyKey(c *codec, body packaging.Digest, offset, length int64) packaging.Digest {
	return digestOf("body", c.id, hex.EncodeToString(body[:]), fmt.Sprint(offset), fmt.Sprint(length))
}

// packedKey is the key of the frame that holds plain.
func packedKey(c *codec, plain []byte) packaging.Digest {
	return digestOf("packed", c.id, packaging.Digest(sha256.Sum256(plain)).String())
}
