// Package sqlite keeps the state of a library in one SQLite file, with a write-ahead
// log beside it: readers do not wait for the one that writes. Every change is synced
// before it counts.
package sqlite

import (
	"context"
	"database/sql"
	_ "embed" // the schema
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/vpkg/vpkg/library"
)

//go:embed schema.sql
var schema string

// migrations lead from one version of the schema to the next: PRAGMA user_version is
// how many of them were made. One that was released is never changed.
var migrations = []string{schema}

// DB is a library.Store.
type DB struct {
	write *sql.DB // one connection: SQLite has one writer
	read  *sql.DB
	state *sql.DB      // one connection, that sees what others change and changes nothing
	lost  atomic.Int64 // errors of state

	log    string       // the name of the write-ahead log
	merged atomic.Int64 // bytes that it has when it is merged next
}

// maxLog is when the write-ahead log is merged into the file, in bytes. SQLite does so
// itself much earlier, but only in a moment in which nobody reads.
const maxLog = 16 << 20

// mergeTimeout is how long that waits for who reads, in milliseconds.
const mergeTimeout = 1000

// busyTimeout is how long one process waits for another's change, in milliseconds.
const busyTimeout = 30_000

// readers is how many connections read at once.
const readers = 8

// Open opens the file of that name, which it makes, readable to its owner alone, if
// it is not there, and brings its schema up to date.
func Open(ctx context.Context, name string) (*DB, error) {
	db, err := open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	return db, nil
}

func open(ctx context.Context, name string) (_ *DB, err error) {
	// SQLite gives its log the same mode.
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the name is the administrator's
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	db := DB{log: name + "-wal"}
	db.merged.Store(maxLog)
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	if db.write, err = connect(name, "_txlock=immediate", "_pragma=journal_mode(wal)", "_pragma=synchronous(full)", "_pragma=foreign_keys(1)"); err != nil {
		return nil, err
	}
	db.write.SetMaxOpenConns(1)
	if err := migrate(ctx, db.write); err != nil {
		return nil, err
	}
	if db.read, err = connect(name, "_pragma=query_only(1)"); err != nil {
		return nil, err
	}
	db.read.SetMaxOpenConns(readers)
	db.read.SetMaxIdleConns(readers)
	if db.state, err = connect(name, "_pragma=query_only(1)"); err != nil {
		return nil, err
	}
	db.state.SetMaxOpenConns(1)
	return &db, nil
}

func connect(name string, options ...string) (*sql.DB, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	p := filepath.ToSlash(abs)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // a drive of Windows
	}
	// The timeout comes first: the pragmas after it may have to wait.
	options = append([]string{fmt.Sprintf("_pragma=busy_timeout(%d)", busyTimeout)}, options...)
	u := url.URL{Scheme: "file", Path: p, RawQuery: strings.Join(options, "&")}
	return sql.Open("sqlite", u.String())
}

// migrate makes the migrations that are missing, each as a whole.
func migrate(ctx context.Context, db *sql.DB) error {
	for {
		done, err := migrateOne(ctx, db)
		if err != nil || done {
			return err
		}
	}
}

func migrateOne(ctx context.Context, db *sql.DB) (done bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback() //nolint:errcheck // after a Commit it does nothing
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return false, err
	}
	switch {
	case version > len(migrations):
		return false, fmt.Errorf("its schema has version %d, newer than this program's %d", version, len(migrations))
	case version == len(migrations):
		return true, nil
	}
	if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
		return false, fmt.Errorf("migration %d: %w", version+1, err)
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version+1)); err != nil {
		return false, err
	}
	return false, tx.Commit()
}

// View reads one consistent state.
func (db *DB) View(ctx context.Context, read func(library.Tx) error) error {
	tx, err := db.read.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was changed
	return read(transaction{tx})
}

// Update changes the state as a whole or not at all.
func (db *DB) Update(ctx context.Context, change func(library.Tx) error) error {
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a Commit it does nothing
	if err := change(transaction{tx}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return known(err)
	}
	db.bound(context.WithoutCancel(ctx))
	return nil
}

// bound keeps the log from growing for as long as there is always somebody who reads:
// it waits for those, while nobody writes. An error is none of the change's.
func (db *DB) bound(ctx context.Context) {
	fi, err := os.Stat(db.log)
	if err != nil || fi.Size() < db.merged.Load() {
		return
	}
	c, err := db.write.Conn(ctx)
	if err != nil {
		return
	}
	defer c.Close()
	wait := func(ms int) {
		c.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", ms)) //nolint:errcheck // it takes every number
	}
	wait(mergeTimeout)
	defer wait(busyTimeout)
	next := int64(maxLog)
	var busy, pages, moved int
	err = c.QueryRowContext(ctx, "PRAGMA wal_checkpoint(truncate)").Scan(&busy, &pages, &moved)
	if err != nil || busy != 0 { // who reads takes long
		next += fi.Size()
	}
	db.merged.Store(next)
}

// State is SQLite's data_version: how many times one connection saw that another had
// changed something. The count is that connection's own, so that the errors, after
// which there may be a new one, are in the number too.
func (db *DB) State(ctx context.Context) (int64, error) {
	lost := db.lost.Load()
	var n int64
	// A query that is broken off can cost the connection.
	if err := db.state.QueryRowContext(context.WithoutCancel(ctx), "PRAGMA data_version").Scan(&n); err != nil {
		db.lost.Add(1)
		return 0, err
	}
	return lost<<32 | n&0xffffffff, nil
}

// Close closes the file. What is under way is waited for.
func (db *DB) Close() error {
	var errs []error
	for _, d := range []*sql.DB{db.state, db.read, db.write} { // the last one tidies the log up
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	return errors.Join(errs...)
}

// known gives errors the library's names.
func known(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return library.ErrNotFound
	}
	if e, ok := errors.AsType[*driver.Error](err); ok {
		switch e.Code() {
		case sqlite3.SQLITE_FULL:
			return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return library.ErrExists
		}
	}
	return err
}
