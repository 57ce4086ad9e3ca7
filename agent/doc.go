// Package agent is the reference agent: the processes of the built-in product's
// payload. Every component is the same program under another name, and Monitor
// supervises them where there is no systemd.
//
// A component starts, says that it is ready, keeps a log and stops when it is
// told to. What the components of a real agent do in between (policy, heartbeat,
// flows) is not here.
package agent
