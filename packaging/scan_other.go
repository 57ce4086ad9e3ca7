//go:build !linux

package packaging

// capsOf takes the capabilities as they are to be: only Linux has them.
func capsOf(_, want string) (string, error) { return want, nil }
