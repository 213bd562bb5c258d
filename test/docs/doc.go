// Package docs runs what the documentation shows, in README.md, docs/ and the manual: transcripts, queries, loops and
// programs are executed, tables are compared with the program's own words, and links are followed.
//
// A block of a page says by its language what becomes of it: console is a transcript, sql runs on an audit log, json is
// the claims of a token, python, js and go are clients, and sh has to be correct as shell; its loops and the quick start
// run, too.
package docs
