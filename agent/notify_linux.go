package agent

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// Notify tells the supervisor that started this process how it is doing:
// systemd, or our own Monitor. The message is that of sd_notify(3), lines of
// VARIABLE=value such as "READY=1". Without a supervisor that listens
// (NOTIFY_SOCKET unset) it does nothing.
func Notify(message string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notifying the supervisor: %w", err)
	}
	_, err = c.Write([]byte(message))
	if cerr := c.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("notifying the supervisor: %w", err)
	}
	return nil
}

// A note is a message that a process sent with Notify.
type note struct {
	pid    int    // as the kernel knows it, not as the sender says
	ready  bool   // READY=1
	status string // STATUS=…
}

// A notifySocket receives what processes send with Notify.
type notifySocket struct {
	conn *net.UnixConn
	name string // for NOTIFY_SOCKET
}

// listenNotify opens a socket with an abstract name that the kernel chooses: no
// path to clean up or to run out of room (108 bytes), and no permissions to get
// right for components of another user. Who sent a message is told by the kernel
// (SO_PASSCRED), so a name that anybody can reach is no weakness.
func listenNotify() (*notifySocket, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("opening the notification socket: %w", err)
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		var serr error
		err = raw.Control(func(fd uintptr) {
			serr = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_PASSCRED, 1)
		})
		if err == nil {
			err = serr
		}
	}
	if err != nil {
		conn.Close() // err says what went wrong already
		return nil, fmt.Errorf("opening the notification socket: %w", err)
	}
	return &notifySocket{conn: conn, name: conn.LocalAddr().String()}, nil
}

// receive calls f for every message until the socket is closed.
func (s *notifySocket) receive(f func(note)) {
	buf := make([]byte, 4096)
	oob := make([]byte, syscall.CmsgSpace(syscall.SizeofUcred))
	for {
		n, oobn, _, _, err := s.conn.ReadMsgUnix(buf, oob)
		if err != nil {
			return
		}
		if pid := senderPID(oob[:oobn]); pid > 0 {
			f(parseNote(pid, string(buf[:n])))
		}
	}
}

func senderPID(oob []byte) int {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for i := range messages {
		if cred, err := syscall.ParseUnixCredentials(&messages[i]); err == nil {
			return int(cred.Pid)
		}
	}
	return 0
}

func parseNote(pid int, message string) note {
	n := note{pid: pid}
	for line := range strings.Lines(message) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch key {
		case "READY":
			n.ready = value == "1"
		case "STATUS":
			n.status = printable(value)
		}
	}
	return n
}
