//go:build linux

// Command measure runs a program and tells, on file descriptor 3, the most KiB that
// were resident in it. It exits as the program did, and is small itself: see package
// resident.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:])) } //nolint:forbidigo // it is a command

func run(args []string) int {
	const failed = 125 // as env(1) has it
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "measure: no program")
		return failed
	}
	runtime.LockOSThread() // the program gets its signal when this thread ends
	syscall.CloseOnExec(3)
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec // to run what it is told to is what it is for
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		fmt.Fprintln(os.Stderr, "measure:", err)
		return failed
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return failed
	}
	fmt.Fprintln(os.NewFile(3, "result"), usage.Maxrss)
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code
	}
	return failed // by a signal
}
