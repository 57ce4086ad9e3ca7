package agent_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/agent"
)

func TestComponentWork(t *testing.T) {
	for _, tt := range []struct {
		name string
		work func(ctx context.Context, log *slog.Logger) error
		ends bool   // by itself
		err  string // what the error says
		log  string
	}{
		{name: "none", log: "msg=stopped"},
		{name: "until the end", work: func(ctx context.Context, log *slog.Logger) error {
			<-ctx.Done()
			log.Info("working to the last")
			return nil
		}, log: "working to the last"},
		{name: "soon done", work: func(context.Context, *slog.Logger) error { return nil }, log: "msg=stopped"},
		{name: "failed", work: func(context.Context, *slog.Logger) error { return errors.New("no luck") }, ends: true, err: "one: no luck", log: "msg=failed component=one error=\"no luck\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "log"), 0o750); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- agent.Component{Name: "one", Version: "1", Data: dir, Work: tt.work}.Run(ctx) }()
			if !tt.ends {
				select {
				case err := <-done:
					t.Fatalf("ended by itself: %v", err)
				case <-time.After(200 * time.Millisecond):
				}
				cancel()
			}
			if err := <-done; tt.err == "" && err != nil || tt.err != "" && (err == nil || err.Error() != tt.err) {
				t.Errorf("error is %v, want %q", err, tt.err)
			}
			log, err := os.ReadFile(filepath.Join(dir, "log", "one.log"))
			if err != nil || !strings.Contains(string(log), tt.log) {
				t.Errorf("log is %s, %v, want %q in it", log, err, tt.log)
			}
		})
	}
}
