//go:build !linux

package firewall

import "errors"

func enterFlows([]flow) error { return errors.ErrUnsupported }
