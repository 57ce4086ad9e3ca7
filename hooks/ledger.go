package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// A Ledger keeps what the running product changed on the host, and with it what
// gives each change back, for as long as the product is installed. It is the
// platform's own journal, /var/lib/vpkg/NAME/platform.json: a package event's is
// about files and accounts, ends with the event, and has another lock.
//
// What undoes a step is in the file before the step is done. A step that is done
// again, at every start, finds its undo there already: what the host was like is
// what it was before the first start.
type Ledger struct {
	Sys    System
	Log    Logger
	Path   string // of the file
	Filter Filter // for steps of the kind Rules
}

// A Filter is the host's packet filter.
type Filter interface {
	// Save keeps the host's rules in a set and returns its name.
	Save(ctx context.Context) (set string, err error)

	// Enforce puts the product's policy in force in place of the host's rules. Without
	// a policy it leaves them in force.
	Enforce(ctx context.Context) error

	// GiveBack puts the set's rules in force as they were and removes the product's
	// own; how can ask for something else. What somebody else has changed is left
	// and named, one sentence each.
	GiveBack(ctx context.Context, set, how string) (left []string, err error)
}

// A ledgerFile is what the file holds.
type ledgerFile struct {
	Format int    `json:"format"` // 1
	Undo   []Step `json:"undo,omitempty"`
}

// Do makes the steps so, in order. If one fails, those of this call that changed
// something for the first time are undone in reverse, and all else stays.
func (l Ledger) Do(ctx context.Context, steps []Step) error {
	file, err := l.read()
	if err != nil {
		return err
	}
	before := len(file.Undo)
	for _, s := range steps {
		if err := l.step(ctx, &file, s); err != nil {
			err = fmt.Errorf("%s: %w", s, err)
			for _, what := range l.giveBack(ctx, &file, before, nil) {
				err = errors.Join(err, errors.New(what))
			}
			return err
		}
	}
	return nil
}

func (l Ledger) step(ctx context.Context, file *ledgerFile, s Step) error {
	i := slices.IndexFunc(file.Undo, s.sameThing)
	if s.Kind == Rules {
		if i < 0 {
			set, err := l.Filter.Save(ctx)
			if err != nil {
				return err
			}
			file.Undo = append(file.Undo, Step{Kind: Rules, Absent: true, Name: set})
			if err := l.write(*file); err != nil {
				return err
			}
		}
		return l.Filter.Enforce(ctx)
	}
	h := newHost(ctx, l.Sys, l.Log)
	do, undo, need, err := h.look(s)
	if err != nil || !need {
		return err
	}
	if undo.Kind != "" {
		if i < 0 {
			i, file.Undo = len(file.Undo), append(file.Undo, undo)
		}
		if only := &file.Undo[i].Only; s.Text != "" && !slices.Contains(*only, s.Text) {
			*only = append(*only, s.Text)
		}
		if err := l.write(*file); err != nil {
			return err
		}
	}
	l.Log.Info("doing", "step", do.String())
	if err := h.act(do); err != nil || s.Kind != Sysctl {
		return err
	}
	// The kernel may have rounded it; what it made of it is ours too.
	_, is, _, err := h.look(Step{Kind: Sysctl, Name: s.Name})
	if err == nil && !slices.Contains(file.Undo[i].Only, is.Text) {
		file.Undo[i].Only = append(file.Undo[i].Only, is.Text)
		err = l.write(*file)
	}
	return err
}

// sameThing reports whether both steps are about the same file, setting or
// service. There is one packet filter.
func (s Step) sameThing(t Step) bool {
	return s.Kind == t.Kind && (s.Kind == Rules || s.Path == t.Path && s.Name == t.Name)
}

// Taken reports whether the host's packet filter is in the product's hands.
func (l Ledger) Taken() (bool, error) {
	file, err := l.read()
	return slices.ContainsFunc(file.Undo, func(s Step) bool { return s.Kind == Rules }), err
}

// Kept are the steps that give the host back, in the order in which the changes
// were made.
func (l Ledger) Kept() ([]Step, error) {
	file, err := l.read()
	return file.Undo, err
}

// GiveBack undoes everything in reverse and removes the file. What somebody else
// has changed since is left as it is; that, and what could not be undone, is
// returned, one sentence each. In place of a step adjust can put another, or one
// of no kind, so that nothing is done; or say that the step is kept for later. A
// nil adjust changes nothing. Rules that could not be put back stay in the file.
func (l Ledger) GiveBack(ctx context.Context, adjust func(Step) (s Step, keep bool)) (left []string, err error) {
	file, err := l.read()
	if err != nil {
		return nil, err
	}
	left = l.giveBack(ctx, &file, 0, adjust)
	if len(file.Undo) > 0 {
		return left, nil
	}
	if err := l.Sys.Remove(l.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return left, err
	}
	return left, nil
}

// giveBack undoes what is in the file beyond the first so many steps.
func (l Ledger) giveBack(ctx context.Context, file *ledgerFile, down int, adjust func(Step) (Step, bool)) (left []string) {
	for i := len(file.Undo) - 1; i >= down; i-- {
		s := file.Undo[i]
		if adjust != nil {
			var keep bool
			if s, keep = adjust(s); keep {
				continue
			}
		}
		whats, again := l.undo(ctx, s)
		for _, what := range whats {
			l.Log.Warn("left as it is", "what", what)
			left = append(left, what)
		}
		if again {
			continue
		}
		file.Undo = slices.Delete(file.Undo, i, i+1)
		if err := l.write(*file); err != nil {
			left = append(left, err.Error())
		}
	}
	return left
}

// undo does one step of the file and says what it left, and whether it is to be
// tried again: a host that keeps rules which nobody wants any more is worse than
// one that keeps a setting.
func (l Ledger) undo(ctx context.Context, s Step) (left []string, again bool) {
	if s.Kind == Rules {
		left, err := l.Filter.GiveBack(ctx, s.Name, s.Text)
		if err != nil {
			left = append(left, fmt.Sprintf("the packet filter: %v", err))
		}
		return left, err != nil
	}
	if s.Kind == "" {
		return nil, false
	}
	h := newHost(ctx, l.Sys, l.Log)
	do, _, need, err := h.look(s)
	if err == nil && need {
		l.Log.Info("undoing", "step", do.String())
		err = h.act(do)
	}
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", s, err)}, false
	}
	return nil, false
}

func (l Ledger) read() (ledgerFile, error) {
	var file ledgerFile
	if err := readJSON(l.Sys, l.Path, &file); err != nil {
		return file, err
	}
	if file.Format > 1 {
		return file, fmt.Errorf("%s: format %d: %w", l.Path, file.Format, ErrUnknown)
	}
	for _, s := range file.Undo {
		err := s.check()
		switch s.Kind {
		case File, Sysctl, Service, Rules:
		default: // left out, the host would not be what it was, and nobody could tell any more
			err = fmt.Errorf("step %q: %w", s.Kind, ErrUnknown)
		}
		if err != nil {
			return file, fmt.Errorf("%s: %w", l.Path, err)
		}
	}
	file.Format = 1
	return file, nil
}

func (l Ledger) write(file ledgerFile) error {
	if err := writeJSON(l.Sys, l.Path, file); err != nil {
		return fmt.Errorf("writing the platform's journal: %w", err)
	}
	return nil
}
