package library_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/library"
)

func TestAdmin(t *testing.T) {
	l, _ := newLibrary(t)
	ctx := t.Context()
	for _, p := range []string{"", "password-of-nobody"} {
		if err := l.CheckAdmin(ctx, p); !errors.Is(err, library.ErrToken) {
			t.Errorf("without an administrator %q: got %v, want ErrToken", p, err)
		}
	}
	made, err := l.EnsureAdmin(ctx)
	if err != nil || len(made) < 20 {
		t.Fatalf("got password %q, %v", made, err)
	}
	if again, err := l.EnsureAdmin(ctx); err != nil || again != "" {
		t.Fatalf("the second time: got %q, %v, want none", again, err)
	}
	if err := l.CheckAdmin(ctx, made); err != nil {
		t.Errorf("the right password: %v", err)
	}
	before, err := l.AdminEpoch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "short", strings.Repeat(" ", 20), strings.Repeat("x", 1025)} {
		if err := l.SetAdmin(ctx, bad); !errors.Is(err, library.ErrInvalid) {
			t.Errorf("SetAdmin(%.20q): got %v, want ErrInvalid", bad, err)
		}
	}
	const chosen = "correct horse, öäü"
	if err := l.SetAdmin(ctx, chosen); err != nil {
		t.Fatal(err)
	}
	if err := l.CheckAdmin(ctx, made); !errors.Is(err, library.ErrToken) {
		t.Errorf("the password before: got %v, want ErrToken", err)
	}
	if err := l.CheckAdmin(ctx, chosen); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if after, err := l.AdminEpoch(ctx); err != nil || after == before {
		t.Errorf("the epoch is %q, %v, as before", after, err)
	}
	es, err := l.Events(ctx, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, e := range es {
		kinds[e.Kind]++
	}
	if kinds[library.EventPassword] != 2 || kinds[library.EventLogin] != 2 || kinds[library.EventAuthFailed] != 3 {
		t.Errorf("got events %v", kinds)
	}
}
