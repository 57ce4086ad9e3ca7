module github.com/vpkg/vpkg

go 1.26.0
