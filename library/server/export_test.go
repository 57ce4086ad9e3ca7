package server

// Patterns are the routes of the mux.
func (s *Server) Patterns() (all []string) {
	for _, r := range s.table() {
		all = append(all, r.pattern())
	}
	return all
}
