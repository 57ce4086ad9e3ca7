//go:build linux

package testbed

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A VM is a virtual machine with Debian 12's own kernel: with modules that can be
// loaded and that can be missing, with SELinux if it is asked for, and with a disk
// that keeps what reached it when the power goes. It has no network device.
//
// Its processor is emulated: there may be no other, and one is enough for the
// few tests that need a kernel of their own. All others use a Box.
type VM struct {
	dir     string // disk, files: what the machine is made of
	qemu    *exec.Cmd
	gone    chan struct{} // closed when qemu has ended
	console syncBuffer    // all that was written to it, over all boots
	agent   net.Conn      // the second serial line
	answers *bufio.Reader // of agent
}

// How long a machine may take, on a busy host and emulated.
const (
	bootLimit = 3 * time.Minute // to start or end
	sendLimit = 16 << 10        // bytes of a script; the line has no flow control
)

// NewVM makes a machine with a disk of its own. It has the named files of this
// machine in /run/packages. It is gone when its test ends.
func NewVM(t testing.TB, files ...string) *VM {
	t.Helper()
	Need(t)
	if current.VM.Disk == "" {
		t.Fatal("testbed.Setup does not ask for VM")
	}
	dir, err := os.MkdirTemp(current.Dir, "vm-") //nolint:usetesting // on the same disk as the image, not in memory
	if err != nil {
		t.Fatal(err)
	}
	vm := &VM{dir: dir}
	t.Cleanup(func() {
		vm.off()
		if t.Failed() {
			t.Logf("console of the machine:\n%s", vm.console.String())
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	// A copy and no overlay: qemu keeps an overlay's tables in memory, so that its end
	// would cost more than a power cut costs.
	if out, err := exec.Command("cp", "--sparse=always", current.VM.Disk, vm.file("disk")).CombinedOutput(); err != nil {
		t.Fatalf("copying the disk: %v\n%s", err, out)
	}
	if err := writeTar(vm.file("files"), files); err != nil {
		t.Fatal(err)
	}
	return vm
}

func (vm *VM) file(name string) string { return filepath.Join(vm.dir, name) }

// writeTar writes an archive that can be read as a disk.
func writeTar(name string, files []string) (err error) {
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w := tar.NewWriter(out)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		h := tar.Header{Name: filepath.Base(file), Mode: int64(info.Mode().Perm()), Size: int64(len(content))}
		if err := w.WriteHeader(&h); err != nil {
			return err
		}
		if _, err := w.Write(content); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	size, err := out.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	const block = 1 << 20 // a disk is whole sectors, and not too small
	return out.Truncate((size + block) / block * block)
}

// SELinux is what Boot is given for a system that enforces SELinux's policy.
var SELinux = []string{"security=selinux", "selinux=1", "enforcing=1"}

// Boot turns the machine on, with additions to its kernel's command line, and
// waits until systemd says that it is up.
func (vm *VM) Boot(t testing.TB, parameters ...string) {
	t.Helper()
	if vm.qemu != nil {
		t.Fatal("testbed: Boot of a machine that is on")
	}
	if err := vm.start(parameters); err != nil {
		t.Fatal(err)
	}
	if line, err := vm.line(); err != nil || line != "ready" {
		t.Fatalf("the machine does not get up: %q, %v", line, err)
	}
	if r := vm.Run(t, "systemctl", "is-system-running", "--wait"); r.Stdout != "running\n" {
		t.Fatalf("systemd is up, but:\n%s", vm.Sh(t, "systemctl --failed --no-pager; journalctl -b -p warning --no-pager").Stdout)
	}
}

func (vm *VM) start(parameters []string) error {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "agent"), os.NewFile(uintptr(pair[1]), "agent")
	defer ours.Close()
	defer theirs.Close()
	if vm.agent, err = net.FileConn(ours); err != nil {
		return err
	}
	vm.answers = bufio.NewReader(vm.agent)

	kernel := "root=/dev/nvme0n1 rw console=ttyS0 panic=-1 quiet systemd.show_status=no mitigations=off " + strings.Join(parameters, " ")
	vm.qemu = exec.Command("qemu-system-x86_64",
		// The emulation of newer processors costs more, but without random numbers the
		// kernel has to collect its own.
		"-machine", "q35,accel=tcg,smm=off", "-cpu", "Nehalem,+rdrand", "-smp", "1", "-m", "1024",
		"-nodefaults", "-no-user-config", "-display", "none", "-nic", "none", "-no-reboot",
		"-kernel", current.VM.Kernel, "-append", kernel,
		// The page cache of this machine stands for the disk: what the machine gave to its
		// disk is there after the power cut, the rest is not.
		"-drive", "if=none,id=d0,format=raw,cache=unsafe,file="+vm.file("disk"), "-device", "nvme,drive=d0,serial=d0",
		"-drive", "if=none,id=d1,format=raw,readonly=on,file="+vm.file("files"), "-device", "nvme,drive=d1,serial=d1",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-chardev", "socket,id=agent,fd=3", "-serial", "chardev:agent")
	vm.qemu.ExtraFiles = []*os.File{theirs} // its 3
	vm.qemu.Stdout, vm.qemu.Stderr = &vm.console, &vm.console
	if err := vm.qemu.Start(); err != nil {
		vm.qemu = nil
		return err
	}
	gone := make(chan struct{})
	vm.gone = gone
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait()
		close(gone)
	}(vm.qemu)
	return nil
}

// line reads a line of what the agent sends.
func (vm *VM) line() (string, error) {
	if err := vm.agent.SetReadDeadline(time.Now().Add(Limit)); err != nil {
		return "", err
	}
	s, err := vm.answers.ReadString('\n')
	return strings.TrimSuffix(s, "\n"), err
}

// Run runs a command in the machine as root.
func (vm *VM) Run(t testing.TB, argv ...string) Result {
	t.Helper()
	quoted := make([]string, len(argv))
	for i, arg := range argv {
		quoted[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	r := vm.Sh(t, "exec "+strings.Join(quoted, " "))
	r.Command = strings.Join(argv, " ")
	return r
}

// Sh runs a shell script in the machine.
func (vm *VM) Sh(t testing.TB, script string) Result {
	t.Helper()
	r, err := vm.run(script)
	if err != nil {
		t.Fatalf("%s: no answer: %v", script, err)
	}
	return r
}

func (vm *VM) run(script string) (Result, error) {
	if err := vm.send(script); err != nil {
		return Result{}, err
	}
	code, err := vm.line()
	if err != nil {
		return Result{}, err
	}
	r := Result{Command: script}
	if r.Code, err = strconv.Atoi(code); err != nil {
		return Result{}, err
	}
	for _, out := range []*string{&r.Stdout, &r.Stderr} {
		line, err := vm.line()
		if err != nil {
			return Result{}, err
		}
		text, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return Result{}, err
		}
		*out = string(text)
	}
	r.Stderr = withoutAlien(r.Stderr)
	return r, nil
}

func (vm *VM) send(script string) error {
	if vm.qemu == nil {
		return errors.New("the machine is off")
	}
	if len(script) > sendLimit {
		return fmt.Errorf("a script of %d bytes is too long", len(script))
	}
	_, err := io.WriteString(vm.agent, base64.StdEncoding.EncodeToString([]byte(script))+"\n")
	return err
}

// Write writes a file in the machine, making its folders.
func (vm *VM) Write(t testing.TB, name, content string) {
	t.Helper()
	vm.Sh(t, fmt.Sprintf("mkdir -p '%s' && echo '%s' | base64 -d >'%s'",
		filepath.Dir(name), base64.StdEncoding.EncodeToString([]byte(content)), name)).OK(t)
}

// Shutdown turns the machine off in good order. It can be booted again.
func (vm *VM) Shutdown(t testing.TB) {
	t.Helper()
	if vm.qemu == nil {
		t.Fatal("testbed: Shutdown of a machine that is off")
	}
	// The answer is not of interest, but a line on which nobody listens keeps who
	// speaks on it from ending.
	_, _ = vm.run("exec systemctl poweroff")
	select {
	case <-vm.gone:
	case <-time.After(bootLimit):
		t.Fatal("the machine does not turn off")
	}
	vm.off()
}

// CutPower runs a script and cuts the power as soon as it, or what it started,
// has written mark to /dev/ttyS0. The script should then wait. The machine can be
// booted again.
func (vm *VM) CutPower(t testing.TB, mark, script string) {
	t.Helper()
	before := len(vm.console.String())
	if err := vm.send(script); err != nil {
		t.Fatal(err)
	}
	end := make(chan string, 1)
	go func() { // ends with the machine
		code, _ := vm.line()
		end <- code
	}()
	for !strings.Contains(vm.console.String()[before:], mark) {
		select {
		case code := <-end:
			t.Fatalf("%s: ended with %q before it wrote %q", script, code, mark)
		case <-time.After(10 * time.Millisecond):
		}
	}
	vm.off()
	<-end
}

// DiskHas reports whether the disk of the machine, which must be off, has the text
// anywhere: in a file, in what is left of a removed one, in the journal.
func (vm *VM) DiskHas(t testing.TB, text string) bool {
	t.Helper()
	if vm.qemu != nil {
		t.Fatal("testbed: the machine must be off")
	}
	f, err := os.Open(vm.file("disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 4<<20)
	for kept := 0; ; {
		n, err := f.Read(buf[kept:])
		if bytes.Contains(buf[:kept+n], []byte(text)) {
			return true
		}
		if errors.Is(err, io.EOF) {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		tail := min(kept+n, len(text)-1) // the text may go on in what follows
		copy(buf, buf[kept+n-tail:kept+n])
		kept = tail
	}
}

// off cuts the power if it is on.
func (vm *VM) off() {
	if vm.qemu == nil {
		return
	}
	_ = vm.qemu.Process.Kill() // it may have ended
	<-vm.gone
	vm.agent.Close()
	vm.qemu = nil
}
