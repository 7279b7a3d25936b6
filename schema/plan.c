/* SPDX-License-Identifier: ISC */
/*
 * What a decimated stream's plan says of each field.  Used by the supervisor.
 *
 * A name of the plan is the path of a field, or of a record and then means all
 * that is in it.  Of several that fit, the longest counts.
 */
#include <stdlib.h>
#include <string.h>

#include "schema/schema_priv.h"
#include "common/util.h"

/* Whether the field at c->path is the name's, or in it. */
static bool
in_name(const struct schema_context *c, const char *name)
{
	size_t length = strlen(name);

	return c->path_size >= length &&
	    (length == 0 || memcmp(c->path, name, length) == 0) &&
	    (c->path_size == length || c->path[length] == '.');
}

static void
note_names(const struct schema_context *c, struct schema_name *name,
    size_t count, bool number)
{
	for (; count > 0; count--, name++)
		if (in_name(c, name->path)) {
			name->known = true;
			name->number |= number;
		}
}

void
schema_plan_note(struct schema_context *c, bool number)
{
	struct schema_plan *plan = c->plan;
	char *path;

	if (plan == NULL || c->path_size == 0)
		return;
	note_names(c, plan->field, plan->fields, number);
	note_names(c, plan->only, plan->onlys, number);
	/* Numbers are met twice, as fields first. */
	if (number)
		return;
	path = xasprintf("%.*s", (int)c->path_size, c->path);
	plan->path = xgrow(plan->path, plan->paths, sizeof(*plan->path));
	plan->path[plan->paths++] = path;
}

uint8_t
schema_plan_method(const struct schema_context *c, double *range)
{
	size_t i, length, longest = 0;
	uint8_t method = c->plan != NULL ? c->plan->method : 0;

	*range = c->plan != NULL ? c->plan->range : 0.0;
	for (i = 0; c->plan != NULL && i < c->plan->fields; i++) {
		length = strlen(c->plan->field[i].path);
		if (length > longest && in_name(c, c->plan->field[i].path)) {
			longest = length;
			method = c->plan->field[i].method;
			*range = c->plan->field[i].range;
		}
	}
	return method;
}

enum schema_keep
schema_plan_keep(const struct schema_context *c)
{
	enum schema_keep keep = KEEP_NONE;
	const char *name;
	size_t i;

	if (c->plan == NULL || c->plan->onlys == 0)
		return KEEP_ALL;
	for (i = 0; i < c->plan->onlys; i++) {
		name = c->plan->only[i].path;
		if (in_name(c, name))
			return KEEP_ALL;
		if (c->path_size == 0 || (strlen(name) > c->path_size &&
		    memcmp(c->path, name, c->path_size) == 0 &&
		    name[c->path_size] == '.'))
			keep = KEEP_SOME;
	}
	return keep;
}

void
schema_plan_free(struct schema_plan *plan)
{
	while (plan->paths > 0)
		free(plan->path[--plan->paths]);
	free(plan->path);
	plan->path = NULL;
}
