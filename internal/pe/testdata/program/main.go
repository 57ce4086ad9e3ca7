// Program is what the tests of package pe put resources into.
package main

func main() {}
