//go:build !linux

package firewall

import (
	"context"
	"errors"
)

// Watch is for Linux alone.
func (f *Firewall) Watch(context.Context) (<-chan struct{}, error) { return nil, errors.ErrUnsupported }
