package chat

import (
	"net/http"
	"slices"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm/backup"
)

// ownName is the name under which whoever is configured answers.
const ownName = "lectern"

// modelInfo is a model as OpenAI's API lists it.
// https://platform.openai.com/docs/api-reference/models/object
type modelInfo struct {
	ID      string `json:"id"`
	Object  string `json:"object" enum:"model"`
	Created int64  `json:"created" doc:"Not told: 0"`
	OwnedBy string `json:"owned_by"`
}

type modelList struct {
	Object string      `json:"object" enum:"list"`
	Data   []modelInfo `json:"data"`
}

// names are the models that may be asked for, each once. Whichever is, the same answers:
// the first, or its backup.
func (s *server) names() []string {
	names := []string{ownName, s.Model.Name()}
	if two, ok := s.Model.(*backup.Model); ok && !slices.Contains(names, two.Backup()) {
		names = append(names, two.Backup())
	}
	return names
}

func infoOf(name string) modelInfo { return modelInfo{ID: name, Object: "model", OwnedBy: ownName} }

func (s *server) listModels(w http.ResponseWriter, _ *http.Request, _ *struct{}) error {
	list := modelList{Object: "list", Data: []modelInfo{}}
	for _, name := range s.names() {
		list.Data = append(list.Data, infoOf(name))
	}
	return writeJSON(w, list)
}

func (s *server) getModel(w http.ResponseWriter, r *http.Request, _ *struct{}) error {
	name := r.PathValue("model")
	if err := s.known(name); err != nil {
		return err
	}
	return writeJSON(w, infoOf(name))
}

func (s *server) known(name string) error {
	if slices.Contains(s.names(), name) {
		return nil
	}
	err := fault.New(fault.NotFound, "There is no model of this name. GET /v1/models lists those that there are.")
	err.Fields = []fault.Field{{Location: modelField, Message: "no such model"}}
	return err
}
