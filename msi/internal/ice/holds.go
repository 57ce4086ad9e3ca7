package ice

// Holds evaluates a conditional statement. value gives the value of a symbol, by its
// name with the prefix that it has, if any.
func Holds(statement string, value func(name string) string) (bool, error) {
	c, err := parseCondition(statement)
	if err != nil {
		return false, err
	}
	return c.holds(func(s symbol) string {
		if s.prefix == 0 {
			return value(s.name)
		}
		return value(string(s.prefix) + s.name)
	}), nil
}
