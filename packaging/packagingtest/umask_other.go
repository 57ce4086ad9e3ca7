//go:build !unix

package packagingtest

func umask(mask int) int { return mask }
