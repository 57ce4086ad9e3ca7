package platform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/windows"

	"github.com/vpkg/vpkg/hooks"
)

// unpair ends everything: the server is told, the services stop, and Windows
// Installer removes the product with its data. The firewall of Windows was never
// changed, so all ways leave it as it is. A step that fails is told, and the rest is
// done all the same.
func (p Product) unpair(ctx context.Context, args []string) int {
	ways := []string{"open", "saved", "recommended", "unmanaged"}
	noReport := len(args) == 2 && args[1] == "noreport"
	if len(args) == 0 || len(args) == 2 && !noReport || len(args) > 2 || !slices.Contains(ways, args[0]) {
		return p.misused()
	}
	code := hooks.Registered(p.Config.Name, "ProductCode")
	if !isGUID(code) {
		return p.fail("unpair", fmt.Errorf("the registry does not say which product of Windows Installer this is: remove it in Settings, Apps"))
	}
	var errs []error
	step := func(what string, err error) {
		p.result("Unpair", what, err)
		errs = append(errs, err)
	}
	if !noReport {
		step("Support report "+p.locate(p.Config.Report()), p.supportReport(ctx))
	}
	_, err := p.Sys.Run(ctx, p.Config.Agent(), "deactivate", "--no-apply")
	step("Telling the server", err)
	s := services{p.Sys, p.Config.Units}
	step("Stopping the services", s.stop(ctx, func(name string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}))
	step("Leaving the firewall of Windows as it is ("+args[0]+")", nil)
	step("Removing the product and its data", p.uninstall(ctx, code))
	if errors.Join(errs...) != nil {
		return platformFailed
	}
	p.print("The VEN has been SUCCESSFULLY unpaired with %s\n", strings.ToUpper(args[0][:1])+args[0][1:])
	return platformDone
}

// uninstall has Windows Installer remove the product.
func (p Product) uninstall(ctx context.Context, code string) error {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return err
	}
	const noReboot = "REBOOT=ReallySuppress"
	_, err = p.Sys.Run(ctx, system+`\msiexec.exe`, "/x", code, "REMOVEDATA=1", noReboot, "/qn")
	if e, ok := errors.AsType[*hooks.ExitError](err); ok {
		switch e.Status {
		case 1641, 3010: // ERROR_SUCCESS_REBOOT_INITIATED, ERROR_SUCCESS_REBOOT_REQUIRED
			p.print("Restart this machine to remove what is still in use\n")
			return nil
		case 1605: // ERROR_UNKNOWN_PRODUCT
			return fmt.Errorf("product %s is not installed (1605)", code)
		}
	}
	return err
}

// isGUID reports whether s is a product code, which becomes an argument.
func isGUID(s string) bool {
	const form = "{00000000-0000-0000-0000-000000000000}"
	if len(s) != len(form) {
		return false
	}
	for i, c := range []byte(s) {
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
		if form[i] == '0' && !hex || form[i] != '0' && c != form[i] {
			return false
		}
	}
	return true
}
