package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks/tinyjson"
)

// The files of the state folder, /var/lib/vpkg/NAME.
const (
	installedFile = "installed.json"
	journalFile   = "journal.json"
	lockFile      = "lock"
	madeFile      = "made"   // a line "group NAME" or "user NAME" for each that the package made; %pre and a purge use it too
	failedFile    = "failed" // there while the installation is not what it should be
	recoveryFile  = "recovery.txt"
)

const stateFolder = "/var/lib/vpkg/"

// Installed is what is installed, as far as it cannot be read in the record: the
// installed state, /var/lib/vpkg/NAME/installed.json. The zero value means that
// nothing is.
type Installed struct {
	Format  int      `json:"format"`            // 1
	Version string   `json:"version,omitempty"` // empty means that the package was removed
	Program string   `json:"program,omitempty"` // folder of the program, where the record and the configuration are
	User    string   `json:"user,omitempty"`    // account of the services; empty means the package's own
	Units   []string `json:"units,omitempty"`   // that the version has

	// Unfinished is the action that was begun and has not ended well.
	Unfinished Action `json:"-"`
}

// A Failure is what the file "failed" of the state folder says: the package is
// in the database, and its installation is not what it should be.
type Failure struct {
	Event Event  `json:"event"`
	Error string `json:"error"` // one sentence
}

// ReadInstalled reads what is installed of a package, and whether something was
// begun. A state that a later version wrote is ErrUnknown.
func ReadInstalled(sys System, name string) (Installed, error) {
	dir := stateFolder + name + "/"
	var in Installed
	if err := readJSON(sys, dir+installedFile, &in); err != nil {
		return Installed{}, err
	}
	if in.Format > 1 {
		return Installed{}, fmt.Errorf("%s: format %d: %w", dir+installedFile, in.Format, ErrUnknown)
	}
	j, err := readJournal(sys, dir+journalFile)
	if err != nil {
		return Installed{}, err
	}
	var f Failure
	if err := readJSON(sys, dir+failedFile, &f); err != nil {
		return Installed{}, err
	}
	switch p := j.Event.Phase; {
	case (p == PreInstall || p == PostInstall) && len(j.Pending) == 0:
		in.Unfinished = j.Event.Action
	case f.Event.Phase == PostInstall:
		in.Unfinished = f.Event.Action
	}
	return in, nil
}

// A journal is what undoes the steps that were done, written before each of
// them: /var/lib/vpkg/NAME/journal.json.
type journal struct {
	Format int    `json:"format"` // 1
	Event  Event  `json:"event"`  // the last one
	Undo   []Step `json:"undo,omitempty"`
	// Kept is how many of Undo belong to events that have ended well and are open.
	// The rest are of a run that broke off.
	Kept int `json:"kept,omitempty"`
	// Pending are the starts of services that were still to be done when the event
	// was committed.
	Pending []Step `json:"pending,omitempty"`
}

func readJournal(sys System, path string) (journal, error) {
	var j journal
	if err := readJSON(sys, path, &j); err != nil {
		return journal{}, err
	}
	if j.Format > 1 {
		return journal{}, fmt.Errorf("%s: format %d: %w", path, j.Format, ErrUnknown)
	}
	if j.Kept < 0 || j.Kept > len(j.Undo) {
		return journal{}, fmt.Errorf("%s: keeps %d of %d steps", path, j.Kept, len(j.Undo))
	}
	for _, s := range slices.Concat(j.Undo, j.Pending) {
		if err := s.check(); err != nil {
			return journal{}, fmt.Errorf("%s: %w", path, err)
		}
	}
	return j, nil
}

// readJSON leaves v alone when there is no such file.
func readJSON(sys System, path string, v any) error {
	b, err := sys.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := tinyjson.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func writeJSON(sys System, path string, v any) error {
	b, err := tinyjson.Marshal(v)
	if err != nil {
		return err
	}
	return sys.WriteFile(path, append(b, '\n'), 0o644)
}

// readLines returns the lines of a file, none when it is not there.
func readLines(sys System, path string) ([]string, error) {
	b, err := sys.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' }), nil
}
