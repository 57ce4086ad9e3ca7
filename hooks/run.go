package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Run does the steps of an event. What undoes a step is in the journal before
// the step is done; if one fails, those of this run are undone in reverse. On
// the way out of a package a step that fails is noted in the recovery file and
// the rest is done all the same.
//
// A run that broke off is picked up by the next one: the same event goes on, any
// other one undoes it first. Rollback undoes everything that is open, and PostTrans
// does the starts that are left.
//
// The starts at the end of a plan are done when the event has been committed and
// unlocked, for what is started calls the hook again. They are not undone.
func Run(ctx context.Context, e Event, steps []Step, sys System, log Logger) error {
	if len(steps) == 0 && e.Action != Rollback && e.Phase != PostTrans {
		return nil
	}
	r := &run{host: *newHost(ctx, sys, log), e: e, dir: stateFolder + e.Package + "/", unlock: func() {}}
	err := r.run(steps)
	r.unlock()
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s %s: %w", e.Package, e.Phase, err)
	if e.Phase == PostInstall && !errors.Is(err, ErrUnknown) {
		err = errors.Join(err, writeJSON(sys, r.dir+failedFile, Failure{Event: e, Error: err.Error()}))
	}
	return err
}

// A run is one call of Run.
type run struct {
	host
	e      Event
	dir    string // of the state, with a slash at its end
	j      journal
	unlock func()
}

func (r *run) run(steps []Step) error {
	if err := r.mayFail(r.lock()); err != nil {
		return err
	}
	if err := r.open(); err != nil {
		return err
	}
	switch {
	case r.e.Action == Rollback:
		return r.rollBack(steps)
	case r.e.Phase == PostTrans:
		return r.finish()
	}
	if err := r.mayFail(r.pickUp()); err != nil {
		return err
	}
	end := len(steps) // of what is undone when a step fails
	for end > 0 && steps[end-1].live() && r.e.Phase == PostInstall {
		end--
	}
	err := r.steps(steps[:end])
	var starts []Step
	if err == nil {
		starts, err = r.commit(steps[end:])
		err = r.mayFail(err)
	}
	if err != nil {
		r.undo(r.j.Kept) // nothing in it is live
		return errors.Join(err, r.save())
	}
	if err := r.start(starts); err != nil || r.e.Action != Purge || r.e.Open {
		return err
	}
	if _, err := r.Stat(r.dir + recoveryFile); errors.Is(err, fs.ErrNotExist) { // else a person needs it
		r.purge()
	}
	return nil
}

// purge removes the state, when nothing of the package is left.
func (r *run) purge() {
	r.unlock() // Windows keeps the name of a file that is open
	r.unlock = func() {}
	r.ignoreMissing(r.RemoveAll(strings.TrimSuffix(r.dir, "/")))
	r.ignoreMissing(r.Remove(strings.TrimSuffix(stateFolder, "/"))) // other packages' may be in it
}

func (r *run) steps(steps []Step) error {
	for _, s := range steps {
		if err := r.step(s); err != nil {
			if err := r.mayFail(fmt.Errorf("%s: %w", s, err)); err != nil {
				return err
			}
		}
	}
	return nil
}

// mayFail notes an error on the way out of a package, where everything else is
// done all the same, and returns it elsewhere.
func (r *run) mayFail(err error) error {
	if err == nil || !r.e.removal() || r.e.Action == Rollback {
		return err
	}
	r.note(err)
	return nil
}

// step does one step, unless it is so already.
func (r *run) step(s Step) error {
	do, undo, need, err := r.look(s)
	if err != nil || !need {
		return err
	}
	if undo.Kind != "" {
		r.j.Undo = append(r.j.Undo, undo)
		if err := r.mayFail(r.save()); err != nil {
			return err
		}
	}
	r.log.Info("doing", "step", do.String())
	if !do.live() {
		return r.act(do)
	}
	r.unlock()
	return errors.Join(r.act(do), r.lock())
}

// commit ends the event: what it did is no longer undone, or is kept until a
// later call. It returns the starts that are now to be done.
func (r *run) commit(starts []Step) ([]Step, error) {
	j := r.j
	if r.e.Open {
		r.j.Kept = len(r.j.Undo)
		if err := r.save(); err != nil {
			r.j = j
			return nil, err
		}
		return nil, nil
	}
	var now, pending []Step
	for _, s := range starts {
		do, undo, need, err := r.look(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		if !need {
			continue
		}
		now = append(now, do)
		if s.Kind == Restart {
			do = undo // when it was stopped and not started again, it is to be started
		}
		pending = append(pending, do)
	}
	for _, s := range r.j.Pending { // of an earlier event
		planned := slices.ContainsFunc(pending, func(p Step) bool { return p.String() == s.String() })
		if r.finishes() && !planned {
			now, pending = append(now, s), append(pending, s)
		}
	}
	if len(now) == 0 {
		return nil, r.forget()
	}
	r.j = journal{Format: 1, Event: r.e, Pending: pending}
	if err := r.save(); err != nil {
		r.j = j
		return nil, err
	}
	return now, nil
}

// finishes reports whether the event does the starts that an earlier one left.
func (r *run) finishes() bool {
	return !r.e.Offline && (r.e.Phase == PostInstall || r.e.Phase == PostTrans || r.e.Action == Rollback)
}

// start does the starts for which the journal's Pending stands.
func (r *run) start(starts []Step) error {
	if len(starts) == 0 {
		return nil
	}
	r.unlock()
	var errs []error
	for _, s := range starts {
		do, _, need, err := r.look(s)
		if err == nil && need {
			r.log.Info("doing", "step", do.String())
			err = r.act(do)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s, err))
		}
	}
	if err := r.lock(); err != nil || len(errs) > 0 {
		return errors.Join(append(errs, err)...)
	}
	if err := r.forget(); err != nil {
		r.log.Warn("a later call will start again what runs already", "error", err)
	}
	return nil
}

// finish does the starts that an earlier event left. A journal that broke off is
// the next event's matter.
func (r *run) finish() error {
	if !r.finishes() {
		return nil
	}
	return r.start(r.j.Pending)
}

// pickUp deals with what an earlier run left, and begins the journal: that it is
// there says that the event has not ended.
func (r *run) pickUp() error {
	was := r.j.Event
	same := was.Package == r.e.Package && was.Version == r.e.Version && was.Phase == r.e.Phase && was.Action == r.e.Action
	if len(r.j.Undo) > r.j.Kept && !same {
		r.log.Warn("an earlier run broke off: undoing it", "phase", was.Phase, "action", was.Action, "version", was.Version)
		r.j.Pending = append(r.j.Pending, r.undo(r.j.Kept)...)
	}
	if was.Action != r.e.Action { // what was open is of another operation
		r.j.Undo, r.j.Kept = nil, 0
	}
	r.j.Format, r.j.Event = 1, r.e
	return r.save()
}

// rollBack undoes everything that is open, and then does the steps, with no journal.
func (r *run) rollBack(steps []Step) error {
	starts := append(r.undo(0), r.j.Pending...)
	r.j = journal{Format: 1, Event: r.e, Pending: starts}
	end := r.save
	if len(starts) == 0 || !r.finishes() {
		starts, end = nil, r.forget
	}
	if err := errors.Join(end(), r.start(starts)); err != nil {
		return err
	}
	for _, s := range steps {
		do, _, need, err := r.look(s)
		if err == nil && need {
			err = r.act(do)
		}
		if err != nil {
			r.log.Warn("tidying up", "error", err)
		}
	}
	// Of a package that never was installed nothing stays; else these fail.
	if _, err := r.Stat(r.dir + installedFile); errors.Is(err, fs.ErrNotExist) {
		r.ignoreMissing(r.Remove(r.dir + lockFile))
		r.ignoreMissing(r.Remove(stateFolder + r.e.Package))
	}
	return nil
}

func (r *run) ignoreMissing(err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
		r.log.Warn("tidying up", "error", err)
	}
}

// undo does the journal's steps in reverse down to the given length, and returns
// those that start the product, for later. What cannot be done is noted.
func (r *run) undo(down int) (starts []Step) {
	reload := false
	for _, s := range slices.Backward(r.j.Undo[down:]) {
		if s.live() {
			starts = append(starts, s)
			continue
		}
		do, _, need, err := r.look(s)
		if err == nil && need {
			r.log.Info("undoing", "step", do.String())
			err = r.act(do)
			reload = reload || s.Kind == File || s.Kind == Enabled
		}
		if err != nil {
			r.note(fmt.Errorf("undoing: %s: %w", s, err))
		}
	}
	r.j.Undo = slices.Clip(r.j.Undo[:down])
	if reload && !r.e.Offline {
		if err := r.act(Step{Kind: Reload}); err != nil {
			r.note(err)
		}
	}
	return starts
}

// note writes what could not be done to the recovery file, for a person.
func (r *run) note(what error) {
	r.log.Warn("left for a person to do: see the recovery file", "error", what, "file", r.dir+recoveryFile)
	b, err := r.ReadFile(r.dir + recoveryFile)
	if errors.Is(err, fs.ErrNotExist) {
		b, err = []byte("What "+r.e.Package+"'s hook could not do, and is left for a person:\n"), nil
	}
	if err == nil {
		err = r.WriteFile(r.dir+recoveryFile, fmt.Appendf(b, "%s %s of %s: %v\n", r.e.Phase, r.e.Action, r.e.Version, what), 0o600)
	}
	if err != nil {
		r.log.Warn("writing the recovery file", "error", err)
	}
}

func (r *run) lock() error {
	unlock, err := r.Lock(r.dir + lockFile)
	if err != nil {
		r.unlock = func() {}
		return fmt.Errorf("locking: %w", err)
	}
	r.unlock = unlock
	return nil
}

// open reads the journal. One that cannot be read is noted and left behind, for
// a package that can neither be installed nor removed is worse.
func (r *run) open() error {
	j, err := readJournal(r.System, r.dir+journalFile)
	if errors.Is(err, ErrUnknown) {
		return err
	}
	if err != nil {
		r.note(fmt.Errorf("reading the journal: %w", err))
	}
	r.j = j
	return nil
}

func (r *run) save() error {
	if err := writeJSON(r.System, r.dir+journalFile, r.j); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

// forget removes the journal: nothing is open any more.
func (r *run) forget() error {
	if err := r.Remove(r.dir + journalFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the journal: %w", err)
	}
	return nil
}

// Repair makes the folders of the configuration what they are to be, with no
// journal: nothing that they were is worth keeping. The user is the
// administrator's choice for the services; empty means the package's own.
func Repair(ctx context.Context, c Config, user string, sys System, log Logger) error {
	h := newHost(ctx, sys, log)
	for _, s := range planFolders(c, user) {
		do, _, need, err := h.look(s)
		if err == nil && need {
			err = h.act(do)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}
