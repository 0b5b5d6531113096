package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

func (c *call) gcloud() int {
	switch {
	case c.starts("storage", "cat"):
		url, generation, _ := strings.Cut(c.args[2], "#")
		for _, version := range slices.Backward(c.Objects[url]) {
			if generation == "" || strconv.Itoa(version.Generation) == generation {
				fmt.Print(version.Content)
				return 0
			}
		}
		return c.fail("ERROR: (gcloud.storage.cat) The following URLs matched no objects or files:\n%s", url)
	case c.starts("storage", "ls", "--all-versions"):
		for _, version := range c.Objects[c.args[3]] {
			fmt.Printf("%s#%d\n", c.args[3], version.Generation)
		}
	case c.starts("storage", "objects", "describe"):
		url, generation, _ := strings.Cut(c.args[3], "#")
		versions := slices.DeleteFunc(slices.Clone(c.Objects[url]), func(v Version) bool {
			return generation != "" && strconv.Itoa(v.Generation) != generation
		})
		if len(versions) == 0 {
			return c.fail("ERROR: (gcloud.storage.objects.describe) gs://… not found: 404.")
		}
		found := versions[len(versions)-1]
		var fields []string
		for _, field := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(c.flag("format"), "value("), ")"), ",") {
			fields = append(fields, map[string]string{
				"generation": strconv.Itoa(found.Generation), "creation_time": "2026-11-22T09:30:00+0000",
				"custom_fields.commit": found.Commit, "custom_fields.again": found.Again,
			}[field])
		}
		fmt.Println(strings.Join(fields, "\t"))
		if c.DieAt < 0 { // somebody else writes it now
			c.Next++
			c.Objects[c.args[3]] = append(versions, Version{Generation: c.Next, Content: "{}"})
		}
	case c.starts("storage", "cp", "-"):
		return c.write(c.args[3])
	case c.starts("storage", "buckets", "list"):
		name := strings.TrimPrefix(c.flag("filter"), "name=")
		if len(c.Objects["gs://"+name]) > 0 {
			fmt.Println(name)
		}
	case c.starts("storage", "buckets", "create"):
		if c.args[3] == c.Foreign {
			return c.fail("ERROR: (gcloud.storage.buckets.create) HTTPError 409: The requested bucket name is not available.")
		}
		c.act("create %s", strings.Join(c.args[3:], " "))
		c.Objects[c.args[3]] = []Version{{}}
	case c.starts("storage", "buckets", "update"):
		c.act("update %s", strings.Join(c.args[3:], " "))
	case c.starts("services", "enable"):
		c.act("enable %s", strings.Join(c.args[2:], " "))
	case c.starts("beta", "services", "identity", "create"):
		c.act("agent %s", c.flag("service"))
	case c.starts("projects", "describe"):
		fmt.Println("123456789012")
	case c.starts("projects", "add-iam-policy-binding"):
		c.act("grant %s %s", c.flag("role"), c.flag("member"))
	case c.starts("run", "jobs", "list"):
		if c.Job != "" {
			fmt.Println(strings.TrimPrefix(c.flag("filter"), "metadata.name="))
		}
	case c.starts("run", "jobs", "update"):
		c.act("job %s", short(c.flag("image")))
		c.Job = c.flag("image")
	case c.starts("run", "jobs", "execute"):
		c.act("migrate %s", short(c.Job))
		if c.BrokenMigration != "" && strings.Contains(c.Job, c.BrokenMigration) {
			return c.fail("ERROR: (gcloud.run.jobs.execute) The execution failed.")
		}
		c.Runs = append(c.Runs, c.Job)
	case c.starts("run", "services", "list"):
		for _, name := range slices.Sorted(maps.Keys(c.Services)) {
			c.printService(name)
		}
	case c.starts("secrets", "versions"):
		return c.secret()
	case c.starts("run", "services", "update"):
		service := c.Services[c.args[3]]
		newest := service.Revisions[len(service.Revisions)-1]
		c.act("renew %s", c.args[3])
		service.Revisions = append(service.Revisions, Revision{newest.Name + "-renewed", newest.Image})
	case c.starts("run", "services", "update-traffic"):
		return c.updateTraffic(c.args[3])
	case c.starts("run", "revisions", "describe"):
		fmt.Printf("Active,True,\nReady,%s\n", c.ready(c.args[3]))
	case c.starts("run", "revisions", "list"):
		for _, service := range c.Services {
			for _, revision := range slices.Backward(service.Revisions) {
				if strings.HasPrefix(c.ready(revision.Name), "True") {
					fmt.Printf("%s,%s\n", revision.Name, revision.Image)
				}
			}
		}
	default:
		return c.fail("gcloud is not played so: %q", c.args)
	}
	return 0
}

func (c *call) secret() int {
	name := c.flag("secret")
	if name == "" {
		name = c.args[3]
	}
	versions := c.Secrets[name]
	switch {
	case c.starts("secrets", "versions", "access", "latest") && len(versions) > 0:
		fmt.Print(versions[len(versions)-1].Data)
	case c.starts("secrets", "versions", "add") && c.flag("data-file") == "-":
		data, err := io.ReadAll(os.Stdin)
		if err != nil {
			return 1
		}
		c.act("secret %s", name)
		c.Secrets[name] = append(versions, Secret{Data: string(data)})
	case c.starts("secrets", "versions", "list"):
		for i, version := range slices.Backward(versions) {
			if !version.Disabled {
				fmt.Println(i + 1)
			}
		}
	case c.starts("secrets", "versions", "disable"):
		number, err := strconv.Atoi(c.args[3])
		if err != nil || number < 1 || number > len(versions) {
			return c.fail("ERROR: (gcloud.secrets.versions.disable) NOT_FOUND: %s", c.args[3])
		}
		c.act("disable %s %d", name, number)
		versions[number-1].Disabled = true
	default:
		return c.fail("secrets are not played so: %q", c.args)
	}
	return 0
}

func (c *call) write(url string) int {
	content, err := io.ReadAll(os.Stdin)
	if err != nil {
		return 1
	}
	versions, generation := c.Objects[url], 0
	if len(versions) > 0 {
		generation = versions[len(versions)-1].Generation
	}
	if c.flag("if-generation-match") != strconv.Itoa(generation) {
		return c.fail("HTTPError 412: At least one of the pre-conditions you specified did not hold.")
	}
	c.act("write %s", url[strings.LastIndex(url, "/")+1:])
	c.Next++
	commit, again, _ := strings.Cut(c.flag("custom-metadata"), ",")
	c.Objects[url] = append(versions, Version{c.Next, string(content), strings.TrimPrefix(commit, "commit="), strings.TrimPrefix(again, "again=")})
	return 0
}

func (c *call) printService(name string) {
	service := c.Services[name]
	newest := service.Revisions[len(service.Revisions)-1].Name
	if name == c.Divided {
		fmt.Printf("%[1]s,%[2]s,%[1]s-a,90,,,\n%[1]s,%[2]s,%[1]s-b,10,,,\n", name, newest)
	} else if serving := c.serving(name); serving != "" {
		fmt.Printf("%s,%s,%s,100,%s,,\n", name, newest, serving, map[bool]string{true: "True"}[service.Pinned == ""])
	} else { // nothing of it has started yet
		fmt.Printf("%s,%s,,100,True,,\n", name, newest)
	}
	for tag, revision := range service.Tags {
		fmt.Printf("%s,%s,%s,,,%s,https://%s---%s.example.org\n", name, newest, revision, tag, tag, name)
	}
}

func (c *call) updateTraffic(name string) int {
	service := c.Services[name]
	revisions, tags := c.flag("to-revisions"), c.flag("update-tags")
	switch {
	case strings.HasPrefix(revisions, "="):
		return c.fail("ERROR: (gcloud.run.services.update-traffic) argument --to-revisions: Bad syntax for dict arg: [%s].", revisions)
	case revisions != "":
		c.act("serve %s", strings.TrimSuffix(revisions, "=100"))
		service.Pinned = strings.TrimSuffix(revisions, "=100")
	case tags != "":
		tag, revision, _ := strings.Cut(tags, "=")
		c.act("tag %s", revision)
		service.Tags = map[string]string{tag: revision}
	case c.has("--to-latest"):
		service.Pinned = ""
		c.act("serve %s", c.serving(name))
		delete(service.Tags, c.flag("remove-tags"))
	default:
		return c.fail("traffic is not played so: %q", c.args)
	}
	return 0
}

// serving is the revision that a service's people get.
func (c *call) serving(name string) string {
	service := c.Services[name]
	if service.Pinned != "" {
		return service.Pinned
	}
	for _, revision := range slices.Backward(service.Revisions) {
		if !named(c.Dead, revision.Image) {
			return revision.Name
		}
	}
	return ""
}

func (c *call) ready(name string) string {
	for _, service := range c.Services {
		for _, revision := range service.Revisions {
			if revision.Name == name && named(c.Dead, revision.Image) {
				return `False,"The container failed to start, or to listen"`
			}
		}
	}
	return "True,"
}

// short is a function's name and what it was built from.
func short(image string) string { return image[strings.LastIndex(image, "/")+1:] }
