package cli

import (
	"fmt"
	"strings"
)

// minPrefix is how many letters of a word suggest must have to complete it.
const minPrefix = 4

// suggest returns " (did you mean --port?)" for the word that text most likely stands for, or "" if none is close. A
// third of the letters may be wrong, not counting the prefix that all words share. Else it is the first word that begins
// with text.
func suggest(text, prefix string, words []string) string {
	best, least := "", max((len(text)-len(prefix))/3, 1)+1
	for _, word := range words {
		if d := distance(text, word); d < least {
			best, least = word, d
		}
	}
	for _, word := range words {
		if best == "" && len(text) >= len(prefix)+minPrefix && strings.HasPrefix(word, text) {
			best = word
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// distance returns how many letters have to be added, removed, replaced or swapped with their neighbour to make
// one word of the other.
func distance(a, b string) int {
	var before, last []int // the rows of the table for the prefixes of a that are two and one letter shorter
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			replace := last[j]
			if a[i] != b[j] {
				replace++
			}
			row[j+1] = min(replace, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
