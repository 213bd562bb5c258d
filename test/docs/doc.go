// Package docs checks the documentation: it executes transcripts, queries and loops, and compares tables with the program.
package docs
