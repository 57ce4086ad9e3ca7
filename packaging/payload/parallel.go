package payload

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// parallel calls f with 0 to n-1, jobs at a time; 0 means as many as there are
// processors.
func parallel(n, jobs int, f func(i int)) {
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	if n == 1 || jobs == 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for range min(jobs, n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// parallelErr is parallel for what can go wrong. It returns the error of the
// smallest number, and starts nothing after an error or when ctx is done.
func parallelErr(ctx context.Context, n, jobs int, f func(i int) error) error {
	var (
		mu    sync.Mutex
		first = n
		err   error
	)
	stopped := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return err != nil || ctx.Err() != nil
	}
	parallel(n, jobs, func(i int) {
		if stopped() {
			return
		}
		e := f(i)
		mu.Lock()
		defer mu.Unlock()
		if e != nil && i < first {
			first, err = i, e
		}
	})
	if err != nil {
		return err
	}
	return ctx.Err()
}
