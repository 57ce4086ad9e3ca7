package manifest

import (
	"fmt"
	"strings"
)

// didYouMean gives ` (did you mean "NAME"?)` with the name nearest to s, or
// nothing if none is near.
func didYouMean(s string, names []string) string {
	best, limit := "", len(s)/3+1
	for _, n := range names {
		if d := editDistance(strings.ToLower(s), n); d <= limit && (best == "" || d < limit) {
			best, limit = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// editDistance counts the insertions, deletions, substitutions and swaps of
// neighbours between a and b (optimal string alignment).
func editDistance(a, b string) int {
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(b)]
}
