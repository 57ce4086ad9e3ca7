package agent

import (
	"context"
	"errors"
	"net/http"
)

// Reach reports whether the server answers at all, over the certificates and the
// proxy that all else goes over. What it answers does not matter.
func (c *Client) Reach(ctx context.Context) error {
	err := c.do(ctx, request{method: http.MethodGet, path: "/", want: http.StatusOK, limit: MaxAnswer})
	if e, ok := errors.AsType[*ServerError](err); ok && e.Status != 0 {
		return nil
	}
	return err
}
