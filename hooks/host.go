package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
)

// output runs a program and gives what it wrote, with the errors that System's Run
// is to have.
func output(cmd *exec.Cmd) (string, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		text := strings.TrimSpace(errs.String())
		if text == "" {
			text = strings.TrimSpace(out.String())
		}
		const most = 500 // bytes
		return out.String(), &ExitError{Status: e.ExitCode(), Text: text[:min(len(text), most)]}
	}
	if errors.Is(err, fs.ErrNotExist) { // by its path, which LookPath does not look up
		err = fmt.Errorf("%w: %w", exec.ErrNotFound, err)
	}
	return out.String(), err
}
