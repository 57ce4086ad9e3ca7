package library

import (
	"context"
	"io"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// A Store keeps the state. It may be used by several goroutines, and by several
// processes at once, such as a server and an import.
type Store interface {
	// View reads one consistent state.
	View(ctx context.Context, read func(Tx) error) error
	// Update changes the state as a whole, or not at all if change returns an error:
	// it returns nil only when the change outlasts a power cut. No two run at once.
	Update(ctx context.Context, change func(Tx) error) error
	// State is a number that is another one after every change, whichever process
	// made it, and cheap to ask for. It has no meaning in another process.
	State(ctx context.Context) (int64, error)
	Close() error
}

// A Tx is the state within one call of View or Update, whose context bounds it. What
// is asked for by its id and is not there is ErrNotFound. The Save methods make a new
// thing if its ID is 0, and set it; a thing that would be there twice is ErrExists.
//
// It has many methods because there are many kinds of things, and one transaction
// spans them; each is one statement.
type Tx interface {
	Images() ([]Image, error) // by product, release, system, architecture, format
	AddImage(Image) error
	RemoveImage(fileName string) error

	Profiles() ([]Profile, error) // by id
	Profile(id int64) (Profile, error)
	SaveProfile(*Profile) error
	RemoveProfile(id int64) error // with its keys; workloads stay

	Keys(profile int64) ([]Key, error) // by id
	Key(id int64) (Key, error)
	KeyByHash(hash []byte) (Key, error)
	SaveKey(*Key) error

	Workloads(after int64, limit int) ([]Workload, error)        // by id
	RecentWorkloads(before int64, limit int) ([]Workload, error) // the newest first; before 0 means all
	Workload(id int64) (Workload, error)
	CountWorkloads(silent time.Time) ([]WorkloadCount, error)
	WorkloadByRequest(key int64, request string) (Workload, error)
	SaveWorkload(*Workload) error

	Policies() ([]Policy, error)
	SavePolicy(Policy) error // in the place of the one of its mode and format

	APIKeys() ([]APIKey, error) // by id
	SaveAPIKey(APIKey) error
	RemoveAPIKey(id string) error

	AddEvent(Event) error
	Events(before int64, limit int) ([]Event, error) // the newest first; before 0 means all

	Setting(name string) (string, error) // empty if it was not set
	SetSetting(name, value string) error
}

// Packages keeps package files, each under the SHA-256 of its content.
type Packages interface {
	// Create begins a new file, that nobody sees before Commit.
	Create(ctx context.Context) (Upload, error)
	// Open gives a file, and its size in bytes. What is not there is ErrNotFound.
	Open(ctx context.Context, d packaging.Digest) (File, int64, error)
	// Sweep removes all files but those to be kept, and what Creates left behind
	// that were broken off.
	Sweep(ctx context.Context, keep func(packaging.Digest) bool) error
}

// An Upload is a file that is being written. ReadAt reads what was written.
type Upload interface {
	io.Writer
	io.ReaderAt
	// Commit makes it a file that outlasts a power cut.
	Commit(d packaging.Digest) error
	// Close gives it up, unless it was committed.
	Close() error
}

// A File is one that is read.
type File interface {
	io.ReadSeekCloser
	io.ReaderAt
}
