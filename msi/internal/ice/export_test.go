package ice

// Holds evaluates a condition of Windows Installer. value gives that of a property.
func Holds(statement string, value func(name string) string) (bool, error) {
	c, err := parseCondition(statement)
	if err != nil {
		return false, err
	}
	return c.holds(func(s symbol) string { return value(s.name) }), nil
}
