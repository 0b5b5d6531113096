package edge

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Operation is what every operation says of itself; status is that of a success.
func Operation(method, id, path, summary, description string, status int) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Description: description, DefaultStatus: status}
}

// Read is a GET that answers 200.
func Read(id, path, summary, description string) huma.Operation {
	return Operation(http.MethodGet, id, path, summary, description, http.StatusOK)
}

// Make is a POST that answers 201.
func Make(id, path, summary, description string) huma.Operation {
	return Operation(http.MethodPost, id, path, summary, description, http.StatusCreated)
}

// Replace is a PUT that answers 200.
func Replace(id, path, summary, description string) huma.Operation {
	return Operation(http.MethodPut, id, path, summary, description, http.StatusOK)
}

// Change is a PATCH that answers 200.
func Change(id, path, summary, description string) huma.Operation {
	return Operation(http.MethodPatch, id, path, summary, description, http.StatusOK)
}

// Remove is a DELETE that answers 204.
func Remove(id, path, summary, description string) huma.Operation {
	return Operation(http.MethodDelete, id, path, summary, description, http.StatusNoContent)
}
