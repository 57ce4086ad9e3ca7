package agent

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// The files of the data folder that belong to activation.
const (
	ConfigFile  = "etc/agent_activation.cfg"
	CodeFile    = "etc/activation_code"
	RequestFile = "etc/activation_request" // the id of the attempts to use the code
	IDFile      = "etc/agent_id.cfg"       // there if and only if the agent is activated
	TokenFile   = "etc/agent_token"
	CAFile      = "etc/agent_ca.pem" // a copy of the file named at activation
	PolicyFile  = "etc/policy.json"
)

// Bounds of those files, in bytes.
const (
	maxSmallFile  = 64 << 10
	maxPolicyFile = MaxPolicyAnswer
)

// ErrNotActivated is returned where an activated agent is needed.
var ErrNotActivated = errors.New("the agent is not activated")

// A Store is the agent's files in the data folder.
//
// The folder belongs to an account without privileges, and root reads and writes
// in it. So names never lead out of Root, a link in the place of a file is never
// followed, and nothing but the file's owner and group is changed of a file that
// has another name too.
type Store struct {
	Root *os.Root // the data folder
	// UID and GID own the files if the process is root's; the configuration is
	// root's and the group's. -1 leaves them to the process.
	UID, GID int
}

// Config reads the activation configuration. unknown are warnings.
func (s Store) Config() (c ActivationConfig, unknown []string, err error) {
	text, err := s.read(ConfigFile, maxSmallFile)
	if err != nil {
		return ActivationConfig{}, nil, err
	}
	c, unknown, err = ParseActivationConfig(text)
	if err != nil {
		return ActivationConfig{}, nil, fmt.Errorf("%s: %w", s.path(ConfigFile), err)
	}
	for i := range unknown {
		unknown[i] = s.path(ConfigFile) + ": " + unknown[i]
	}
	return c, unknown, nil
}

// WriteConfig writes the activation configuration.
func (s Store) WriteConfig(c ActivationConfig) error {
	if err := c.Validate(); err != nil {
		return err
	}
	uid := -1
	if s.UID >= 0 {
		uid = 0
	}
	return s.write(ConfigFile, []byte(c.String()), 0o640, uid)
}

// Code reads the activation code.
func (s Store) Code() (string, error) {
	text, err := s.read(CodeFile, maxSmallFile)
	if err != nil {
		return "", err
	}
	code, err := ParseCode(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.path(CodeFile), err)
	}
	return code, nil
}

// ParseCode checks an activation code. It is in no message.
func ParseCode(text []byte) (string, error) {
	code := strings.TrimSpace(string(text))
	if code == "" {
		return "", errors.New("the activation code is empty")
	}
	if !isWord(code, maxValue) {
		return "", fmt.Errorf("the activation code is not one word of at most %d bytes", maxValue)
	}
	return code, nil
}

// WriteCode keeps the code until it is used. Its use is a new one.
func (s Store) WriteCode(code string) error {
	if err := s.remove(RequestFile); err != nil {
		return err
	}
	return s.write(CodeFile, []byte(code+"\n"), 0o600, s.UID)
}

// Prepare writes what an activation needs, so that it can be tried and, should
// this process end, be tried again. ca are certificates to be trusted, which are
// copied: the services of the agent see neither /tmp nor homes, and what is in the
// folder of a pairing script does not stay. With an empty code the one that is
// there is kept.
func (s Store) Prepare(ctx context.Context, c ActivationConfig, ca []byte, code string) error {
	unlock, err := s.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if ca != nil {
		if err := s.write(CAFile, ca, 0o640, s.UID); err != nil {
			return err
		}
		c.CAFile = s.path(CAFile)
	}
	if err := s.WriteConfig(c); err != nil || code == "" {
		return err
	}
	return s.WriteCode(code)
}

// EraseCode overwrites the code and removes it.
func (s Store) EraseCode() error {
	return errors.Join(s.erase(CodeFile), s.erase(newName(CodeFile)), s.remove(RequestFile), s.syncFolder())
}

// RequestID is the id of this use of the code, made at the first call.
func (s Store) RequestID() (string, error) {
	text, err := s.read(RequestFile, maxSmallFile)
	if id := strings.TrimSpace(string(text)); err == nil && len(id) == 32 && isWord(id, 32) {
		return id, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var b [16]byte
	rand.Read(b[:])
	id := hex.EncodeToString(b[:])
	return id, s.write(RequestFile, []byte(id+"\n"), 0o600, s.UID)
}

// Identity reads who the agent is. Without an IDFile it is ErrNotActivated.
func (s Store) Identity() (Identity, error) {
	text, err := s.read(IDFile, maxSmallFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, ErrNotActivated
	}
	if err != nil {
		return Identity{}, err
	}
	var id Identity
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "agent_id":
			id.AgentID = value
		case "org_id":
			id.OrgID = value
		case "workload_uuid":
			id.WorkloadUUID = value
		}
	}
	token, err := s.read(TokenFile, maxSmallFile)
	if err != nil {
		return Identity{}, err
	}
	id.Token = strings.TrimSpace(string(token))
	if err := id.validate(); err != nil {
		return Identity{}, fmt.Errorf("%s, %s: %w", s.path(IDFile), TokenFile, err)
	}
	return id, nil
}

// WriteIdentity makes the agent an activated one: IDFile is written last.
func (s Store) WriteIdentity(id Identity) error {
	if err := id.validate(); err != nil {
		return err
	}
	if err := s.write(TokenFile, []byte(id.Token+"\n"), 0o600, s.UID); err != nil {
		return err
	}
	text := fmt.Sprintf("agent_id: %s\norg_id: %s\nworkload_uuid: %s\n", id.AgentID, id.OrgID, id.WorkloadUUID)
	return s.write(IDFile, []byte(text), 0o640, s.UID)
}

// Policy reads the policy. Without one it is the zero value.
func (s Store) Policy() (Policy, error) {
	text, err := s.read(PolicyFile, maxPolicyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Policy{}, nil
	}
	if err != nil {
		return Policy{}, err
	}
	var p Policy
	if err := json.Unmarshal(text, &p); err != nil {
		return Policy{}, fmt.Errorf("%s: %w", s.path(PolicyFile), err)
	}
	return p, nil
}

// WritePolicy puts the policy where the process that loads it looks.
func (s Store) WritePolicy(p Policy) error {
	if err := p.Validate(); err != nil {
		return err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // rules are full of < and >
	if err := e.Encode(p); err != nil {
		return err
	}
	if b.Len() > maxPolicyFile {
		return fmt.Errorf("policy %s: %d bytes, want at most %d", p.Version, b.Len(), maxPolicyFile)
	}
	return s.write(PolicyFile, b.Bytes(), 0o640, s.UID)
}

// Own gives the files to UID and GID after the account of the services has become
// another one, which could not read them. What is root's, or has another name
// too, is left alone.
func (s Store) Own() error {
	var errs []error
	for _, name := range []string{CodeFile, RequestFile, IDFile, TokenFile, CAFile, PolicyFile} {
		f, err := s.open(name, os.O_RDONLY)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			var info fs.FileInfo
			if info, err = f.Stat(); err == nil && links(info) == 1 && owner(info) > 0 && owner(info) != s.UID {
				err = f.Chown(s.UID, s.GID)
			}
			if cerr := f.Close(); err == nil {
				err = cerr
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Forget removes all that makes the agent an activated one, and what is left of
// an activation that was not finished. It reports whether there was anything.
func (s Store) Forget() (found bool, err error) {
	var errs []error
	for _, name := range []string{IDFile, TokenFile, PolicyFile, ConfigFile, CAFile, CodeFile, RequestFile} { // IDFile first: with it all ends
		if _, err := s.Root.Lstat(name); err == nil {
			found = true
		}
		errs = append(errs, s.erase(name), s.erase(newName(name)))
	}
	return found, errors.Join(append(errs, s.syncFolder())...)
}

// Lock waits until no other process activates, deactivates or takes a policy.
// The lock is the kernel's and ends with the process. It is on the folder itself, so
// that there is no file to leave behind; Windows locks files alone.
func (s Store) Lock(ctx context.Context) (unlock func(), err error) {
	dir, err := openLock(s.Root)
	if err != nil {
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	for {
		busy, err := tryLock(dir)
		if err == nil && !busy {
			return func() { dir.Close() }, nil
		}
		if err != nil {
			dir.Close() // err says what went wrong already
			return nil, fmt.Errorf("locking %s: %w", dir.Name(), err)
		}
		select {
		case <-ctx.Done():
			dir.Close() // nothing was done with it
			return nil, fmt.Errorf("waiting for another activation or deactivation: %w", context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// changed is when a file was changed last, and zero if it is not there.
func (s Store) changed(name string) time.Time {
	info, err := s.Root.Lstat(name)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func (s Store) path(name string) string { return s.Root.Name() + "/" + name }

// read reads a regular file, and nothing that a link leads to.
func (s Store) read(name string, limit int64) ([]byte, error) {
	f, err := s.open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", s.path(name), limit)
	}
	return b, nil
}

// open opens a regular file that is no link.
func (s Store) open(name string, flag int) (*os.File, error) {
	// O_NONBLOCK: a pipe in its place must not hang us.
	f, err := s.Root.OpenFile(name, flag|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	// Root follows links that stay inside of it. What the name itself stands for
	// is then another file than the one that was opened.
	opened, err := f.Stat()
	if err == nil {
		var named fs.FileInfo
		named, err = s.Root.Lstat(name)
		if err == nil && (!named.Mode().IsRegular() || !os.SameFile(opened, named)) {
			err = fmt.Errorf("%s is no regular file", s.path(name))
		}
	}
	if err != nil {
		f.Close() // err says what went wrong already
		return nil, err
	}
	return f, nil
}

// newName is what a file is called until it takes its place. It is the same every
// time, so that nothing with a secret in it can be left under a forgotten name.
func newName(name string) string {
	dir, base, _ := strings.Cut(name, "/")
	return dir + "/." + base + ".new"
}

// write replaces a file, or a link in its place, in one step.
func (s Store) write(name string, text []byte, mode fs.FileMode, uid int) (err error) {
	tmp := newName(name)
	if err := s.remove(tmp); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("writing %s: %w", s.path(name), err), s.remove(tmp))
		}
	}()
	f, err := s.Root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode&0o600)
	if err != nil {
		return err
	}
	err = closeToOthers(f, mode)
	if err == nil {
		_, err = f.Write(text)
	}
	if err == nil && (uid >= 0 || s.GID >= 0) {
		err = f.Chown(uid, s.GID)
	}
	if err == nil {
		err = f.Chmod(mode) // whatever the umask
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := s.Root.Rename(tmp, name); err != nil {
		return err
	}
	return s.syncFolder()
}

// erase overwrites a file before it is removed. What is no regular file, or has
// another name too and so may be somebody else's, is only removed.
func (s Store) erase(name string) error {
	f, err := s.open(name, os.O_WRONLY)
	if err == nil {
		if info, serr := f.Stat(); serr == nil && links(info) == 1 {
			_, err = io.CopyN(f, zeros{}, min(info.Size(), maxSmallFile))
			if err == nil {
				err = f.Sync()
			}
		}
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}
	if rerr := s.remove(name); rerr != nil { // also a link to nowhere
		return errors.Join(err, rerr)
	}
	return nil
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func (s Store) remove(name string) error {
	if err := removeFrom(s.Root, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s Store) syncFolder() error { return syncFolder(s.Root) }
