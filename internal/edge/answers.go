package edge

// Page asks for a part of a list.
type Page struct {
	Cursor string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"how many at most"`
}

// List is how every list is answered.
type List[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor,omitempty" doc:"cursor of the next page; absent on the last one"`
}

// ListOf gives a list; one without items is [], not null.
func ListOf[T any](items []T, next string) List[T] { return List[T]{append([]T{}, items...), next} }

// Listed is the answer that is a list.
type Listed[T any] struct{ Body List[T] }

// Listing answers with a list, or with the error that kept it from being read.
func Listing[T any](items []T, next string, err error) (*Listed[T], error) {
	if err != nil {
		return nil, err
	}
	return &Listed[T]{ListOf(items, next)}, nil
}

// Single is the answer that is one thing.
type Single[T any] struct{ Body T }

// One answers with one thing, or with the error that kept it from being read.
func One[T any](thing T, err error) (*Single[T], error) {
	if err != nil {
		return nil, err
	}
	return &Single[T]{thing}, nil
}
