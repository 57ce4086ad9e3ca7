// Package browser uses the web console as people do: in Chromium, with the keyboard, on
// a phone, in the dark, while machines pair.
//
// Everything stays on loopback: the server is in the test, and the browser finds no
// other host. VPKG_TEST_SCREENSHOTS=DIR keeps a picture of every page.
package browser
