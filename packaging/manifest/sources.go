package manifest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// A folder is where the files are that a manifest names: the folder of the
// manifest itself, or a file system such as an embed.FS.
type folder struct {
	fsys fs.FS  // nil means the files of the host
	dir  string // of the host; names in the manifest are relative to it, or absolute
}

// path is the name of a file on the host.
func (f folder) path(name string) string {
	name = filepath.FromSlash(name)
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(f.dir, name)
}

func (f folder) open(name string) (fs.File, error) {
	if f.fsys != nil {
		return f.fsys.Open(path.Clean(name))
	}
	return os.Open(f.path(name))
}

func (f folder) stat(name string) (fs.FileInfo, error) {
	if f.fsys != nil {
		return fs.Stat(f.fsys, path.Clean(name))
	}
	return os.Stat(f.path(name))
}

// maxBytes is the most that a manifest, a script or a unit may have.
const maxBytes = 4 << 20

// read gives the content of a small file.
func (f folder) read(name string) ([]byte, error) {
	file, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	if err == nil && len(b) > maxBytes {
		err = fmt.Errorf("%s has more than %d bytes", name, maxBytes)
	}
	return b, err
}

// file describes a regular file and reads it once, for its digest.
func (f folder) file(name string) (sourceFile, error) {
	file, err := f.open(name)
	if err != nil {
		return sourceFile{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return sourceFile{}, err
	}
	if !info.Mode().IsRegular() {
		return sourceFile{}, fmt.Errorf("%s is not a regular file", name)
	}
	h := sha256.New()
	n, err := io.Copy(h, file)
	if err != nil {
		return sourceFile{}, fmt.Errorf("reading %s: %w", name, err)
	}
	return sourceFile{
		body: fileBody{f, name}, size: n, digest: packaging.Digest(h.Sum(nil)),
		executable: info.Mode()&0o111 != 0, modTime: info.ModTime(),
	}, nil
}

// A sourceFile is the content of a regular file.
type sourceFile struct {
	body       packaging.Body
	size       int64
	digest     packaging.Digest
	executable bool
	modTime    time.Time
}

type fileBody struct {
	folder folder
	name   string
}

// Open implements packaging.Body.
func (b fileBody) Open() (io.ReadCloser, error) { return b.folder.open(b.name) }

// bytesBody is content that is in memory: small and made by vpkg.
type bytesBody []byte

// Open implements packaging.Body.
func (b bytesBody) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }

// made gives the content of a file that vpkg makes.
func made(b []byte) sourceFile {
	return sourceFile{body: bytesBody(b), size: int64(len(b)), digest: sha256.Sum256(b)}
}

// Open reads the vpkg.yaml at path. Files that it names are relative to its
// folder; those that are missing are reported with everything else.
func Open(path string) (*Manifest, error) {
	return open(path, folder{dir: filepath.Dir(path)}, filepath.Base(path))
}

// OpenFS reads the vpkg.yaml of the given name in fsys, where the files that it
// names are too.
func OpenFS(fsys fs.FS, name string) (*Manifest, error) {
	return open(name, folder{fsys: fsys}, name)
}

func open(shown string, f folder, name string) (*Manifest, error) {
	b, err := f.read(name)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	m, errs := parse(shown, b)
	if m == nil {
		return nil, errors.Join(errs...)
	}
	m.folder = f
	return m.finish(append(errs, m.checkSources()...))
}

// checkSources reports the files that the manifest names and that are not there.
// The payload is left to Resolve: --payload may take its place.
func (m *Manifest) checkSources() []error {
	var errs []error
	need := func(at, name string, tree bool) {
		if name == "" {
			return
		}
		switch info, err := m.folder.stat(name); {
		case err != nil:
			errs = append(errs, m.problem(at, "%s: %w", at, err))
		case info.Mode().IsRegular() || tree && info.IsDir():
		case info.IsDir():
			errs = append(errs, m.problem(at, "%s: %s is a folder: want type: tree", at, name))
		default:
			errs = append(errs, m.problem(at, "%s: %s is not a regular file", at, name))
		}
	}
	contents := func(at string, cs []Content) {
		for i, c := range cs {
			need(fmt.Sprintf("%s[%d].source", at, i), c.Source, c.Type == TypeTree)
			need(fmt.Sprintf("%s[%d].template", at, i), c.Template, false)
		}
	}
	scripts := func(at string, s *Scripts) {
		for _, x := range s.list() {
			need(join(at, x.key), x.file, false)
		}
	}
	contents("contents", m.Contents)
	contents("windows.contents", m.Windows.Contents)
	scripts("scripts", &m.Scripts)
	for i, s := range m.Services {
		need(fmt.Sprintf("services[%d].source", i), s.Source, false)
		need(fmt.Sprintf("services[%d].template", i), s.Template, false)
	}
	for i, t := range m.Triggers.RPM {
		need(fmt.Sprintf("triggers.rpm[%d].script", i), t.Script, false)
	}
	for k, o := range m.Overrides {
		contents("overrides."+k+".contents", o.Contents)
		scripts("overrides."+k+".scripts", &o.Scripts)
	}
	return errs
}
