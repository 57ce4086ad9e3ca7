package firewall

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Watch tells when nft's tables, iptables-nft's among them, change, until ctx is
// done. Several changes may give one notification. Rules of iptables-legacy give
// none: who wants to know of those compares State now and then.
func (f *Firewall) Watch(ctx context.Context) (<-chan struct{}, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("opening netlink: %w", err)
	}
	file := os.NewFile(uintptr(fd), "netlink") // with the runtime's poller, for it does not block
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening to netlink: %w", err), file.Close())
	}
	changes := make(chan struct{}, 1)
	stop := context.AfterFunc(ctx, func() { file.Close() }) // only read from
	go func() {
		defer close(changes)
		defer stop()
		buf := make([]byte, 64<<10)
		for ctx.Err() == nil {
			// ENOBUFS says that messages were lost: something has changed as well.
			if _, err := file.Read(buf); err != nil && !errors.Is(err, unix.ENOBUFS) {
				if stop() {
					file.Close() // only read from
				}
				return
			}
			select {
			case changes <- struct{}{}:
			default:
			}
		}
	}()
	return changes, nil
}
