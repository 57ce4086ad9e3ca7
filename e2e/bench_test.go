//go:build linux

package e2e

import (
	"regexp"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/testbed"
)

var cpuUsed = regexp.MustCompile(`msg=done .*cpu=(\S+)`)

// BenchmarkInstall installs on a booted system and reports the processor time of
// the hook itself, in all of its calls, beside that of the whole command:
//
//	go test ./e2e -run '^$' -bench Install -benchtime 3x
func BenchmarkInstall(b *testing.B) {
	for _, name := range []string{"rpm 4.18", "dpkg 1.22"} {
		b.Run(name, func(b *testing.B) {
			var hook, whole time.Duration
			n := 0
			for b.Loop() {
				n++
				b.StopTimer()
				g := pick(b, name)
				box := testbed.New(b, g.suite)
				box.Boot(b)
				g.seed(b, box)
				file := g.bring(b, box, oldVersion)
				b.StartTimer()
				begun := time.Now()
				g.install(b, box, file).OK(b)
				whole += time.Since(begun)
				for _, m := range cpuUsed.FindAllStringSubmatch(box.Read(b, logFile), -1) {
					d, err := time.ParseDuration(m[1])
					if err != nil {
						b.Fatal(err)
					}
					hook += d
				}
			}
			b.ReportMetric(float64(hook.Milliseconds())/float64(n), "hook-cpu-ms/install")
			b.ReportMetric(float64(whole.Milliseconds())/float64(n), "ms/install")
		})
	}
}
