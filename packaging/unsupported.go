package packaging

import "errors"

// ErrUnsupported is in the error of a Format for a package of a kind that it does not
// read. Nothing has to be wrong with such a package.
var ErrUnsupported = errors.New("not supported")
