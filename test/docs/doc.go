// Package docs runs what the documentation shows: transcripts, queries, loops, and the tables of options and metrics.
package docs
