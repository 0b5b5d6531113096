package extract

import "lectern.dev/lectern/internal/fault"

// The limits of a document.
const (
	MaxBytes = 50 << 20 // of the upload
	MaxPages = 2000
	maxText  = 20 << 20 // bytes of extracted text: twice what 2,000 dense pages hold
)

// Why a document cannot be read, in the words that its owner sees.
var (
	errTooLarge     = fault.New(fault.Invalid, "The file is larger than 50 MB. Split it and upload the parts.")
	errTooManyPages = fault.New(fault.Invalid, "The document has more than 2,000 pages. Split it and upload the parts.")
	errTooMuchText  = fault.New(fault.Invalid, "The document holds more text than 2,000 pages do. Split it and upload the parts.")
	errEmpty        = fault.New(fault.Invalid, "There is no text in this document.")
	errScanned      = fault.New(fault.Invalid, "This PDF has pages but no text: it seems to be scanned. Run text recognition (OCR) on it and upload the result.")
	errEncrypted    = fault.New(fault.Invalid, "The document is protected with a password. Remove the protection and upload it again.")
	errBroken       = fault.New(fault.Invalid, "The file is damaged or incomplete: it could not be read to its end. Export it anew and upload it again.")
	errNotText      = fault.New(fault.Invalid, "The file is not text: it holds binary data.")
	errExpands      = fault.New(fault.Invalid, "The file unpacks to far more data than a document of its size holds; it was not read.")
	errTime         = fault.New(fault.Invalid, "Reading this document took too long, so it was stopped. Export it anew, or split it and upload the parts.")
	errMemory       = fault.New(fault.Invalid, "Reading this document took too much memory, so it was stopped. Export it anew, or split it and upload the parts.")
	errNoPoppler    = fault.New(fault.Unavailable, "PDF files cannot be read at the moment. Try again later.")
)

// wrongType says that a file is not what its name or its sender says it is.
func wrongType(declared, found string) error {
	return fault.New(fault.Invalid, "The file was sent as %s, but it is %s. Upload it under its real type.", declared, found)
}
