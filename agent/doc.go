// Package agent is the reference agent: the processes of the built-in product's
// payload. Every component is the same program under another name, and Monitor
// supervises them where there is no systemd.
//
// A component starts, says that it is ready, keeps a log and stops when it is
// told to. Manager is what one of them does in between: it activates the host,
// reports to the server and takes its policies, in the protocol that
// docs/protocol.md describes. Policies are put in force by package platform;
// flows are not here.
package agent
