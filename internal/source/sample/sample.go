// Package sample holds the document that ships with Lectern, for a first course
// without an upload.
package sample

import _ "embed"

// Name is the document's file name.
const Name = "home-networks.md"

// Document is the document: Markdown with tables and listings.
//
//go:embed home-networks.md
var Document []byte
