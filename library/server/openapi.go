package server

import (
	_ "embed" // the document
	"net/http"
)

// openAPI describes every operation, and every status that it can answer with.
//
//go:embed openapi.json
var openAPI []byte

func (s *Server) getOpenAPI(c *call) error {
	c.write(http.StatusOK, "application/json", openAPI)
	return nil
}
