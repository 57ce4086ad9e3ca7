package agent

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func logFile(t *testing.T, dir string, size int64) *LogFile {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	l := &LogFile{Root: root, Name: "a.log", MaxSize: size}
	t.Cleanup(func() {
		l.Close()
		root.Close()
	})
	return l
}

func TestLogFileRotates(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.log")
	if err := os.WriteFile(name, []byte("old\n"), 0o600); err != nil { // counts
		t.Fatal(err)
	}
	l := logFile(t, dir, 10)
	for _, step := range []struct{ write, log, backup string }{
		{"12345\n", "old\n12345\n", ""}, // just fits
		{"6\n", "6\n", "old\n12345\n"},
		{"a line longer than a log\n", "a line longer than a log\n", "6\n"},
		{"7\n", "7\n", "a line longer than a log\n"},
	} {
		if _, err := l.Write([]byte(step.write)); err != nil {
			t.Fatal(err)
		}
		for file, want := range map[string]string{name: step.log, name + ".1": step.backup} {
			got, err := os.ReadFile(file)
			if err != nil && want != "" {
				t.Fatal(err)
			}
			if string(got) != want {
				t.Errorf("after %q %s is %q, want %q", step.write, filepath.Base(file), got, want)
			}
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%d files (%v), want the log and one backup", len(entries), err)
	}
}

// The account that owns the folder cannot make root write or wait elsewhere.
func TestLogFileStays(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	dir := t.TempDir()
	name := filepath.Join(dir, "a.log")
	for _, tt := range []struct {
		name string
		make func() error
		want string
	}{
		{"link", func() error { return os.Symlink(outside, name) }, "escapes"},
		{"pipe", func() error { return syscall.Mkfifo(name, 0o600) }, "no such device"},
		{"folder", func() error { return os.Mkdir(name, 0o700) }, "is a directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.make(); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(name)
			_, err := logFile(t, dir, 0).Write([]byte("text"))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	if _, err := os.Stat(outside); err == nil {
		t.Error("a link was followed out of the folder")
	}
}
