//go:build linux

package testbed

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// A vmImage is what every virtual machine starts from.
type vmImage struct {
	Kernel string // file of the kernel
	Disk   string // file of the root file system: ext4, nearly 1 GB, mostly holes
}

// vmSuite is Debian 12 with its kernel for clouds, which alone among Debian's has
// ext4 and nvme built in: it boots without an initial RAM disk and without a boot
// loader. Everything of netfilter is a module in it.
var vmSuite = Suite{"bookworm", slices.Concat(common, []string{
	"ca-certificates", "linux-image-cloud-amd64", "policycoreutils", "selinux-policy-default",
})}

// vmSetup makes a root file system that boots, with the agent that runs what a VM
// is told to. Its $1 is the folder. It runs before mmdebstrap unmounts /proc,
// which setfiles needs.
//
//go:embed vmsetup.sh
var vmSetup string

// vmTools are the programs of the machine that virtual machines need.
var vmTools = []string{"cp", "mke2fs", "qemu-system-x86_64"}

// makeVMImage returns the image, which it makes unless it is in the cache.
func makeVMImage(ctx context.Context) (vmImage, error) {
	args := append(mmdebstrapArgs(vmSuite),
		"--skip=cleanup/reproducible", // it would take /etc/machine-id away
		"--customize-hook="+vmSetup)
	dir, err := cached(vmSuite.Name+"-vm", args, func(dir string) error {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		root := filepath.Join(dir, "root")
		if err := mmdebstrap(ctx, vmSuite, args, root); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(root, "vmlinuz"), filepath.Join(dir, "vmlinuz")); err != nil {
			return err
		}
		// -d copies extended attributes too: the labels of SELinux.
		cmd := exec.CommandContext(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-d", root, filepath.Join(dir, "disk"), "900M")
		if out, err := cmd.CombinedOutput(); err != nil {
			return errors.Join(fmt.Errorf("mke2fs: %w\n%s", err, out))
		}
		return os.RemoveAll(root)
	})
	if err != nil {
		return vmImage{}, fmt.Errorf("making the image of virtual machines: %w", err)
	}
	return vmImage{Kernel: filepath.Join(dir, "vmlinuz"), Disk: filepath.Join(dir, "disk")}, nil
}
